import { PLUGIN_TYPES, type PluginType } from '../../rpc/go-plugin.ts';
import { isSpiffeError, SpiffeError } from '../../spiffe/error.ts';
import { Trial, type TrialOptions } from './trial.ts';

/** What go-plugin's half of a Go plugin says when its magic cookie is not there. */
const COOKIE_REFUSAL = /not meant to be executed directly|magic cookie/i;

/**
 * Starts a plugin without knowing its kind: with the magic cookies of all kinds, and where it ends by itself with each
 * alone.
 *
 * @throws SpiffeError saying what became of the first start
 */
export async function startWithAnyCookie(options: TrialOptions): Promise<Trial> {
  const stderr: string[] = [];
  const startedAtMs = performance.now();
  try {
    return await Trial.start(options, PLUGIN_TYPES, { stderr });
  } catch (error) {
    const hasEnded = performance.now() - startedAtMs < options.handshakeDeadlineMs;
    if (!hasEnded || !isSpiffeError(error, 'PLUGIN_NOT_LOADED')) throw error;
    for (const type of PLUGIN_TYPES) {
      const trial = await findTrial(options, type);
      if (trial !== undefined) return trial;
    }
    if (!stderr.some((line) => COOKIE_REFUSAL.test(line))) throw error;
    const advice = `its magic cookie is none of SPIRE's: name and value have to be its kind's name, such as KeyManager=KeyManager`;
    throw new SpiffeError('PLUGIN_NOT_LOADED', `${advice}; ${error.message}`, { cause: error });
  }
}

async function findTrial(options: TrialOptions, type: PluginType): Promise<Trial | undefined> {
  try {
    return await Trial.start(options, [type]);
  } catch (error) {
    if (isSpiffeError(error, 'PLUGIN_NOT_LOADED')) return undefined;
    throw error;
  }
}
