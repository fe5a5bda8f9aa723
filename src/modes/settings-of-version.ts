import { CaretakerError, CaretakerErrors, messageOf } from '../errors.ts';
import type { Tools } from './tools.ts';

/**
 * Why every run that follows would be refused, with the caretaker.yml that a version has brought: those that back up too. `settings-of-version`; null where none would be. An update to it
 * goes back; whoever restores an older one must be told, and needs it all the same.
 */
export function settingsProblem({ checkSettings }: Tools, label: string): CaretakerError | null {
  try {
    checkSettings();
    return null;
  } catch (error) {
    if (!(error instanceof CaretakerError) && !(error instanceof CaretakerErrors)) throw error;
    const words = messageOf(error).replaceAll('\n', '; ');
    return new CaretakerError('settings-of-version', `with the settings of ${label} no run could follow: ${words}`, {
      hint: 'Mend the caretaker.yml of that version, or what the workflow gives beside it.',
    });
  }
}

export function warnOfSettings(tools: Tools, label: string): void {
  const problem = settingsProblem(tools, label);
  if (problem !== null) tools.recorder.warn(`${problem.message}. ${problem.hint}`);
}
