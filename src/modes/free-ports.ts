import { publishedPorts } from '../compose/ports.ts';
import { CaretakerError } from '../errors.ts';
import { whyTaken } from '../system/ports.ts';
import type { Tools } from './tools.ts';

/**
 * Refuses a version that publishes a port of this host which something else has: its containers would not start, when the old ones are gone. What the project itself publishes now is its own. Throws
 * `port-taken`.
 */
export async function refuseTakenPorts({ project }: Tools): Promise<void> {
  if (project.engine === null) return;
  const own = new Set((await project.containers()).flatMap(({ ports }) => ports.map(({ hostPort }) => hostPort)));
  for (const { service, hostIp, hostPort } of publishedPorts(await project.engine.compose.document())) {
    const why = own.has(hostPort) ? undefined : await whyTaken(hostIp, hostPort);
    if (why === undefined) continue;
    throw new CaretakerError(
      'port-taken',
      `the new version can't start: ${service} is to publish ${hostIp === '' ? '' : `${hostIp}:`}${hostPort}, and ${why}`,
      { hint: 'Stop what listens there, or give the service another port in the compose file or in .env.' },
    );
  }
}
