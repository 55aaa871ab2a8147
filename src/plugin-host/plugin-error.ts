import type { PluginType } from '../rpc/go-plugin.ts';
import { RemoteError } from '../rpc/status.ts';
import { type ErrorDetail, messageOf, SpiffeError } from '../spiffe/error.ts';

/** Longer messages of a plugin are cut. */
const MAX_MESSAGE_CHARACTERS = 4_096;

/** Who an error is about. */
export interface PluginName {
  readonly type: PluginType;
  readonly name: string;
}

/** The part of a plugin's life in which it failed. */
export type LoadStep = 'load' | 'configure' | 'validate';

/** `<type in lower case>(<name>): `, as SPIRE writes before a plugin's message. */
export function errorPrefix({ type, name }: PluginName): string {
  return `${type.toLowerCase()}(${name}): `;
}

/** A plugin answered with this status: never to be taken for the answer of a server. */
export class PluginError extends RemoteError {}

/**
 * What the caller of a facade sees of a failed call: the plugin's code and details, its message with the prefix.
 * The prefix comes once; the one of old plugins, `<name>: `, goes.
 */
export function toPluginError(plugin: PluginName, error: unknown): unknown {
  if (error instanceof RemoteError) {
    return new PluginError(error.status, withPrefix(plugin, error.message), smallDetails(error.details), {
      cause: error,
    });
  }
  if (error instanceof SpiffeError) {
    return new SpiffeError(error.code, withPrefix(plugin, error.message), { cause: error, details: error.details });
  }
  return error;
}

/** Details travel in a header; more than this would end the connection that they are handed on by. */
const MAX_DETAIL_BYTES = 2_048;

function smallDetails(details: readonly ErrorDetail[]): readonly ErrorDetail[] {
  const bytes = details.reduce((sum, { typeUrl, value }) => sum + typeUrl.length + value.length, 0);
  return bytes <= MAX_DETAIL_BYTES ? details : [];
}

function withPrefix(plugin: PluginName, message: string): string {
  const prefix = errorPrefix(plugin);
  if (message.startsWith(prefix)) return message.slice(0, MAX_MESSAGE_CHARACTERS);
  const oldPrefix = `${plugin.name}: `;
  const rest = message.startsWith(oldPrefix) ? message.slice(oldPrefix.length) : message;
  return prefix + rest.slice(0, MAX_MESSAGE_CHARACTERS);
}

/** `failed to load plugin "x": …`, and so on with the other steps. */
export function toLoadError({ name }: PluginName, step: LoadStep, error: unknown): SpiffeError {
  const reason = messageOf(error);
  const message = `failed to ${step} plugin ${JSON.stringify(name)}: ${reason.slice(0, MAX_MESSAGE_CHARACTERS)}`;
  const code = error instanceof SpiffeError && error.code === 'CANCELLED' ? 'CANCELLED' : 'PLUGIN_NOT_LOADED';
  return new SpiffeError(code, message, { cause: error });
}
