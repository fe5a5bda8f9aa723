import type { CallKind, Fault } from './faults.ts';
import type { Reply } from './http.ts';
import type { GitHubStandIn, JobIdentity, Visibility } from './stand-in.ts';

type Command = (standIn: GitHubStandIn, query: URLSearchParams, body: never) => unknown;

/** The library's controls over HTTP, for tests that drive the stand-in from a shell. */
const commands: Readonly<Record<string, Command>> = {
  /** `KEY=value` lines for `act --env-file`; `format=json` for one object. */
  'GET env': (standIn, query) => {
    const env = standIn.environment(jobOf(query));
    if (query.get('format') === 'json') return env;
    return Object.entries(env)
      .map(([name, value]) => `${name}=${value}\n`)
      .join('');
  },
  'GET token': (standIn, query) => standIn.runtimeToken(jobOf(query)),
  'GET stored': (standIn) => standIn.stored(),
  'GET calls': (standIn, query) => standIn.calls((query.get('kind') as CallKind | null) ?? undefined),
  'POST clear-calls': (standIn) => standIn.clearCalls(),
  'POST fault': (standIn, _query, body: Fault) => standIn.fault(body),
  'POST clear-faults': (standIn) => standIn.clearFaults(),
  'POST seed': async (standIn, _query, body: Parameters<GitHubStandIn['seed']>[0]) => ({
    id: await standIn.seed(body),
  }),
  'POST corrupt': (standIn, _query, body: { artifact: number | string; at?: number; truncateTo?: number }) =>
    standIn.corrupt(body.artifact, body),
  'POST expire': (standIn, _query, body: { artifact: number | string }) => standIn.expire(body.artifact),
  'POST advance': (standIn, _query, body: { days?: number; hours?: number; ms?: number }) => standIn.advance(body),
  'POST visibility': (standIn, _query, body: { repository: string; visibility: Visibility }) =>
    standIn.setVisibility(body.repository, body.visibility),
  'POST quota': (standIn, _query, body: { bytes: number | null }) => standIn.setQuota(body.bytes),
  'POST tokens': (standIn, _query, body: Record<string, string[]>) => standIn.setTokens(body),
};

/** Answers `/_control/<command>`; a mistake of the caller is a 400 with the reason. */
export async function answerControl(standIn: GitHubStandIn, method: string, url: URL, body: string): Promise<Reply> {
  const name = `${method} ${url.pathname.slice('/_control/'.length)}`;
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) return { status: 404, body: { message: `no control ${name}` } };
  try {
    const input = (body === '' ? {} : JSON.parse(body)) as never;
    return { status: 200, body: (await command(standIn, url.searchParams, input)) ?? { ok: true } };
  } catch (error) {
    return { status: 400, body: { message: error instanceof Error ? error.message : String(error) } };
  }
}

function jobOf(query: URLSearchParams): JobIdentity {
  const [jobId, attempt, repository] = [query.get('job'), query.get('attempt'), query.get('repository')];
  return {
    runId: Number(query.get('run')),
    ...(jobId === null ? {} : { jobId }),
    ...(attempt === null ? {} : { attempt: Number(attempt) }),
    ...(repository === null ? {} : { repository }),
  };
}
