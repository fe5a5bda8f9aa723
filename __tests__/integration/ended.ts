import type { ChildProcessByStdio } from 'node:child_process';
import type { Readable } from 'node:stream';

/** All that a process prints, and its exit code; -1 where a signal ended it. Rejects where it could not be started. */
export async function endOf(
  child: ChildProcessByStdio<null, Readable, Readable>,
): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const exitCode = await new Promise<number>((resolve, reject) =>
    child.on('error', reject).on('close', (code) => resolve(code ?? -1)),
  );
  return { exitCode, stdout, stderr };
}
