import type { Target } from '../code/git.ts';
import { CaretakerError } from '../errors.ts';
import type { UpdateSettings } from '../settings/settings.ts';
import { avoided } from './avoided.ts';
import type { Tools } from './tools.ts';

/**
 * What to update to. `nothing-new`: the code that is deployed is the newest that is asked for. `as-it-is`: no git clone here, or nothing to ask it;
 * only images can be newer. Fetching changes nothing but the clone's knowledge of its remote.
 */
export async function chooseTarget(
  tools: Tools,
  settings: UpdateSettings,
): Promise<Target | 'as-it-is' | 'nothing-new'> {
  const { checkout, log } = tools;
  if (checkout === null) {
    if (settings.ref !== undefined || settings.track !== undefined) {
      throw new CaretakerError(
        'not-a-clone',
        `there is no git clone in ${settings.sourceDirectory ?? tools.project.directory} to update by ref or track`,
        {
          input: 'source-directory',
          hint: 'Set source-directory to the clone that the images are built from, or leave ref and track empty to update images only.',
        },
      );
    }
    return 'as-it-is';
  }
  await checkout.fetch();
  const target = await checkout.resolveTarget(settings);
  const head = await checkout.head();
  if (target === null || target.commit === head.commit) {
    // Tags of images may move without the code: that is what `build: pull` asks for.
    if (settings.build.kind === 'pull') return 'as-it-is';
    log.info(`${head.tag ?? head.describe ?? head.commit} is deployed, and there is nothing newer`);
    return 'nothing-new';
  }
  const bad =
    settings.ref === undefined && settings.eventTag === undefined ? await avoided(tools.project.stateDirectory) : null;
  if (bad?.commit === target.commit) {
    tools.recorder.warn(
      `${target.label} was tried on ${bad.at} and did not do (${bad.why}): it is passed over until there is a newer version. To try it again, give it as "ref".`,
    );
    return 'nothing-new';
  }
  await checkout.gate(target, settings.allow);
  log.info(`${head.tag ?? head.describe ?? head.commit} → ${target.label}`);
  return target;
}
