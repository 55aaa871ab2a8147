import { dirname } from 'node:path';
import { SpiffeError } from '../../spiffe/error.ts';
import { quoteText } from '../../spiffe/quote-text.ts';
import { wayTo } from '../way-to.ts';
import { isWithin } from './places.ts';

export interface OwnWayOptions {
  /** Folders that the plugin writes. */
  readonly written: readonly string[];
  /** Whether that user is a plugin's. */
  isPluginUser(userId: number): Promise<boolean>;
}

/**
 * Follows a path that is shown to a plugin, and refuses one where a plugin decides what it leads to: below a folder that the
 * plugin writes it may not lead out of there, elsewhere by no link that is a plugin's. It is looked at once: what was
 * allowed is what is answered.
 *
 * @param isToWrite a folder that the plugin is to have, whose place no plugin may be able to give to another
 * @returns the path without symbolic links; undefined where nothing is there
 * @throws SpiffeError `PLUGIN_NOT_LOADED`
 */
export async function followOwnWay(
  path: string,
  { written, isPluginUser }: OwnWayOptions,
  isToWrite = false,
): Promise<string | undefined> {
  const way = await wayTo(path).catch(() => undefined);
  const end = way?.at(-1)?.path;
  if (way === undefined || end === undefined) return way === undefined ? undefined : '/';
  const folder = written.find((other) => other !== path && isWithin(path, other));
  const folderEnd = folder && (await wayTo(folder).catch(() => undefined))?.at(-1)?.path;
  if (folder !== undefined && folderEnd !== undefined) {
    if (isWithin(end, folderEnd)) return end;
    throw refusal(
      path,
      `leads out of the folder ${quoteText(folder)}, which the plugin writes: remove that link, and name what it leads to`,
    );
  }
  for (const step of way) {
    const decides = step.isLink || (isToWrite && step.path !== end);
    if (!decides || !(await isPluginUser(step.userId))) continue;
    if (step.isLink) {
      throw refusal(path, `leads by way of the link ${quoteText(step.path)}, which a plugin made: remove it`);
    }
    const advice = `name that folder, or make root the owner of it and of ${quoteText(dirname(path))}`;
    throw refusal(path, `is below ${quoteText(step.path)}, which is a plugin's: ${advice}`);
  }
  return end;
}

function refusal(path: string, what: string): SpiffeError {
  return new SpiffeError('PLUGIN_NOT_LOADED', `${quoteText(path)} ${what}`);
}
