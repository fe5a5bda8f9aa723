import { createHmac, timingSafeEqual } from 'node:crypto';

/** A job's identity, as its `ACTIONS_RUNTIME_TOKEN` carries it. */
export interface Job {
  readonly repository: string;
  readonly runId: number;
  readonly attempt: number;
  readonly jobId: string;
}

// The signature guards against mix-ups only; the key is no secret.
const key = 'github-stand-in';

/** The run's name inside the results service. A re-run has another one, which is why it may reuse artifact names. */
export function backendRun(runId: number, attempt: number): string {
  return attempt === 1 ? String(runId) : `${runId}.${attempt}`;
}

export function runOfBackend(backend: string): number {
  return Number(backend.split('.')[0]);
}

export function signRuntimeToken(job: Job, lifetimeSeconds = 6 * 3600): string {
  const now = Math.floor(Date.now() / 1000);
  const payload = {
    scp: `Actions.Example Actions.Results:${backendRun(job.runId, job.attempt)}:${job.jobId}`,
    repository: job.repository,
    iat: now,
    exp: now + lifetimeSeconds,
  };
  const head = `${encode({ typ: 'JWT', alg: 'HS256' })}.${encode(payload)}`;
  return `${head}.${signature(head)}`;
}

/** The job that a token speaks for, or null when the token is forged, malformed or past its time. */
export function verifyRuntimeToken(token: string): Job | null {
  const [header, payload, signed] = token.split('.');
  if (header === undefined || payload === undefined || signed === undefined) return null;
  const expected = Buffer.from(signature(`${header}.${payload}`));
  const given = Buffer.from(signed);
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null;
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as {
    scp: string;
    repository: string;
    exp: number;
  };
  if (claims.exp * 1000 < Date.now()) return null;
  const scope = /(?:^| )Actions\.Results:(\d+)(?:\.(\d+))?:([^ :]+)(?: |$)/.exec(claims.scp);
  if (scope === null) return null;
  return {
    repository: claims.repository,
    runId: Number(scope[1]),
    attempt: Number(scope[2] ?? 1),
    jobId: scope[3] ?? '',
  };
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function signature(head: string): string {
  return createHmac('sha256', key).update(head).digest('base64url');
}
