/** When a page did not answer: asked every 50 ms, whatever became of the question before. */
import { get } from 'node:http';

const EVERY_MS = 50;
const PATIENCE_MS = 2_000;

export interface Outages {
  /** Of all outages together. */
  readonly seconds: number;
  /** Each outage: from the first question that got no 200 to the first later one that did. */
  readonly spans: readonly number[];
}

export function watch(url: string): { stop(): void; result(): Outages } {
  const answers: { readonly at: number; ok: boolean | null }[] = [];
  const ask = (): void => {
    const answer: (typeof answers)[number] = { at: performance.now(), ok: null };
    answers.push(answer);
    const request = get(url, { agent: false, timeout: PATIENCE_MS }, (response) => {
      response.resume();
      response.once('end', () => {
        answer.ok = response.statusCode === 200;
      });
    });
    request.once('timeout', () => request.destroy());
    request.on('error', () => {
      answer.ok = false;
    });
  };
  const timer = setInterval(ask, EVERY_MS);
  return {
    stop: () => clearInterval(timer),
    result() {
      const spans: number[] = [];
      let since: number | undefined;
      // What was asked last may not be answered yet.
      for (const { at, ok } of answers.filter((answer) => answer.ok !== null)) {
        if (ok === true && since !== undefined) {
          spans.push((at - since) / 1000);
          since = undefined;
        } else if (ok === false) since ??= at;
      }
      if (since !== undefined) throw new Error('it did not answer again');
      return { spans, seconds: spans.reduce((sum, span) => sum + span, 0) };
    },
  };
}
