import { isUtf8 } from 'node:buffer';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { PluginData } from '../config/plugins.ts';
import { ConfigDefinition } from '../gen/spire/service/common/config/v1/config.ts';
import type { CallOptions, Client } from '../rpc/client.ts';
import { statusOf } from '../rpc/status.ts';
import { messageOf, SpiffeError } from '../spiffe/error.ts';
import { quoteText } from '../spiffe/quote-text.ts';
import { Status } from '../spiffe/status.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';

const MAX_DATA_BYTES = 16 * 1024 * 1024;
const MAX_NOTES = 20;
const MAX_NOTE_CHARACTERS = 1_000;

/** The service by which a plugin takes its configuration. */
export const CONFIG_SERVICE_NAME = ConfigDefinition.fullName;

/**
 * Gives a plugin its configuration: a plugin that takes one gets the empty text where there is none.
 *
 * @param client undefined where the plugin takes none.
 * @returns the text that it took
 * @throws SpiffeError `PLUGIN_NOT_LOADED` where there is a configuration and nobody to take it; else the plugin's refusal.
 */
export async function configure(
  client: Pick<Client<typeof ConfigDefinition>, 'configure'> | undefined,
  data: PluginData | undefined,
  trustDomain: TrustDomain,
  options: CallOptions,
): Promise<string> {
  if (client === undefined) {
    if (data === undefined) return '';
    throw new SpiffeError('PLUGIN_NOT_LOADED', 'no supported configuration interface found: remove its plugin_data');
  }
  const hclConfiguration = data === undefined ? '' : await readPluginData(data);
  await client.configure({ coreConfiguration: { trustDomain }, hclConfiguration }, options);
  return hclConfiguration;
}

/**
 * Asks a plugin what it thinks of its configuration, which is not put into force. One that cannot tell has nothing against it.
 *
 * @throws SpiffeError `CONFIG_INVALID` with everything that the plugin notes
 */
export async function validate(
  client: Pick<Client<typeof ConfigDefinition>, 'validate'> | undefined,
  data: PluginData | undefined,
  trustDomain: TrustDomain,
  options: CallOptions,
): Promise<void> {
  if (client === undefined) {
    await configure(undefined, data, trustDomain, options);
    return;
  }
  const hclConfiguration = data === undefined ? '' : await readPluginData(data);
  const { valid, notes } = await client
    .validate({ coreConfiguration: { trustDomain }, hclConfiguration }, options)
    .catch((error: unknown) => {
      if (statusOf(error) !== Status.Unimplemented) throw error;
      return { valid: true, notes: [] };
    });
  if (!valid || notes.length > 0)
    throw new SpiffeError('CONFIG_INVALID', describeNotes(notes.map((note) => placedIn(note, data))));
}

/** Our plugins name line and column, and do not know of the file. */
function placedIn(note: string, data: PluginData | undefined): string {
  return data !== undefined && 'file' in data ? note.replace(/^plugin_data(?=:\d+:\d+: )/, data.file) : note;
}

/** A plugin writes as many as it likes, as long as it likes. */
function describeNotes(notes: readonly string[]): string {
  const told = notes
    .slice(0, MAX_NOTES)
    .map((note) => (note.length <= MAX_NOTE_CHARACTERS ? note : `${note.slice(0, MAX_NOTE_CHARACTERS)}…`));
  const more = notes.length > told.length ? [`and ${notes.length - told.length} more`] : [];
  return [...told, ...more].join('; ') || 'it does not say why';
}

/** The text of `plugin_data`, or `plugin_data_file` byte for byte. @throws SpiffeError `FILE_UNUSABLE` */
export async function readPluginData(data: PluginData): Promise<string> {
  if ('text' in data) return data.text;
  const { file } = data;
  try {
    const bytes = await readAtMost(file, MAX_DATA_BYTES);
    if (!isUtf8(bytes)) {
      throw new SpiffeError('FILE_UNUSABLE', `plugin_data_file ${quoteText(file)} is not text in UTF-8`);
    }
    return bytes.toString('utf8');
  } catch (cause) {
    if (cause instanceof SpiffeError) throw cause;
    const reason = messageOf(cause);
    throw new SpiffeError('FILE_UNUSABLE', `cannot read plugin_data_file ${quoteText(file)}: ${reason}`, { cause });
  }
}

/** A pipe would be waited for, or be empty the next time; a device, such as /dev/null, may never end. */
async function readAtMost(path: string, maxBytes: number): Promise<Buffer> {
  await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const found = await file.stat();
  if (!found.isFile() && !found.isCharacterDevice())
    throw new SpiffeError('FILE_UNUSABLE', `plugin_data_file ${quoteText(path)} is no file`);
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of file.createReadStream({ autoClose: false, end: maxBytes })) {
    chunks.push(chunk);
    length += chunk.length;
  }
  if (length <= maxBytes) return Buffer.concat(chunks);
  throw new SpiffeError('FILE_UNUSABLE', `plugin_data_file ${quoteText(path)} is larger than ${maxBytes} bytes`);
}
