import { CaretakerError, messageOf } from '../errors.ts';
import { firstLine } from './retry.ts';

/**
 * A coded error for what GitHub's client threw while it wrote. Its classes are lost on the way out and only texts are left, such as
 * `Failed to CreateArtifact: Received non-retryable error: Failed request: (403) Forbidden: …`.
 */
export function uploadError(what: string, cause: unknown): unknown {
  if (cause instanceof CaretakerError) return cause;
  const text = messageOf(cause);
  // Of the service a status is in the text, of the storage beside it.
  const { statusCode } = cause as { statusCode?: unknown };
  const said =
    typeof statusCode === 'number' ? `the storage answered ${statusCode}: ${firstLine(text)}` : firstLine(text);
  if (/insufficient usage|storage quota/i.test(text)) {
    return new CaretakerError('store-full', `failed to ${what}: the account’s storage for artifacts is used up`, {
      hint:
        'Delete old artifacts (GitHub counts anew only every 6 to 12 hours), keep them for a shorter time by retention-days, buy more storage or raise ' +
        'the budget in the account’s billing settings, or use store: type=folder,path=…',
      cause,
    });
  }
  // Of the storage, the signed address was refused; of the service, the job's own token.
  const status = Number(statusCode ?? /\((\d{3})\)/.exec(text)?.[1]);
  if (status === 401 || status === 403) {
    return new CaretakerError('store-denied', `failed to ${what}: ${said}`, {
      hint: 'The job’s own token (ACTIONS_RUNTIME_TOKEN) writes artifacts, and no permission is needed; it ends with the job. Run again, and check the machine’s clock.',
      cause,
    });
  }
  if (/ACTIONS_RUNTIME_TOKEN|ACTIONS_RESULTS_URL|backend IDs/.test(text)) {
    return new CaretakerError('store-unsupported', `failed to ${what}: ${said}`, {
      hint: 'Artifacts are written only by an action’s step in a workflow: use store: type=folder,path=… elsewhere.',
      cause,
    });
  }
  if (/not currently supported on GHES/.test(text)) {
    return new CaretakerError(
      'store-unsupported',
      `failed to ${what}: GitHub Enterprise Server has no artifacts of this kind`,
      {
        hint: 'Use store: type=folder,path=…',
        cause,
      },
    );
  }
  if (/is not valid JSON|JSON input/.test(text)) {
    return new CaretakerError('store-unreachable', `failed to ${what}: the answer is not JSON`, {
      hint: 'Something between this machine and GitHub may answer in its place: look at proxy settings.',
      cause,
    });
  }
  return new CaretakerError('store-unreachable', `failed to ${what}: ${said}`, {
    hint: 'Look at https://www.githubstatus.com and at the machine’s connection, then run again.',
    cause,
  });
}
