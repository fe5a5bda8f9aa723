import * as toolkit from '@actions/core';
import { annotationOf, renderErrors, type ErrorText } from './errors-text.ts';
import type { Log } from './log.ts';
import { Redactor } from './redact.ts';
import { progressText, throttle } from './throttle.ts';
import { formatSeconds } from './units.ts';
import { withoutCommands } from './workflow-commands.ts';

/** What of @actions/core is used; handed in by tests. */
export type Core = Pick<
  typeof toolkit,
  'info' | 'debug' | 'warning' | 'error' | 'setSecret' | 'startGroup' | 'endGroup'
>;

export interface ActionsLog extends Log {
  /** Everything masked so far, for the report. */
  readonly redactor: Redactor;
  /** The run's errors, as annotations. Shown once, by the entry. */
  errors(texts: readonly ErrorText[]): void;
}

/** The log of a workflow's step: groups, annotations, masks. */
export function actionsLog(core: Core = toolkit, now: () => number = () => performance.now()): ActionsLog {
  const redactor = new Redactor();
  const due = throttle(10_000, now);
  let depth = 0;

  const info = (line: string): void => withoutCommands(redactor.text(line)).forEach((one) => core.info(one));

  return {
    redactor,
    info,
    warn: (line) => core.warning(redactor.text(line), { title: 'Compose Caretaker' }),
    debug: (line) => core.debug(redactor.text(line)),
    async group(title, work) {
      // The runner knows no group inside a group.
      const outer = depth++ === 0;
      const start = now();
      if (outer) core.startGroup(redactor.text(title).replace(/[\r\n]+/g, ' '));
      else info(title);
      let mark = '✗';
      try {
        const value = await work();
        mark = '✓';
        return value;
      } finally {
        depth--;
        if (outer) core.endGroup();
        // A group's title can't change any more: the time stands below it, where it is seen while the group is folded.
        info(`${mark} ${title}: ${formatSeconds((now() - start) / 1000)}`);
      }
    },
    progress(what, done, total) {
      if (due(what)) info(progressText(what, done, total));
    },
    mask(secret) {
      for (const text of redactor.add(secret)) core.setSecret(text);
    },
    redacted: (text) => redactor.text(text),
    errors(texts) {
      for (const text of texts) {
        const { title, text: message } = annotationOf(text);
        core.error(message, { title });
      }
      info(renderErrors(texts));
    },
  };
}
