import { z } from 'zod';
import { isSpiffeError, messageOf, SpiffeError } from '../spiffe/error.ts';
import { quoteText } from '../spiffe/quote-text.ts';
import { type SpiffeId, spiffeIdOf } from '../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { renderTemplate } from './path-template/evaluate.ts';
import { fieldsOf } from './path-template/fields.ts';
import { parseTemplate } from './path-template/parse.ts';
import type { TemplateMap } from './path-template/values.ts';

/** An `agent_path_template`: which ID an agent gets, by what its attestation proved. */
export interface AgentPathTemplate {
  /**
   * `spiffe://<trust domain>/spire/agent` and what the template makes of `values`.
   *
   * @throws SpiffeError `ATTESTATION_DENIED`, naming the template: a value is missing, or the result is no path
   */
  agentId(trustDomain: TrustDomain, values: TemplateMap): SpiffeId;
}

export interface AgentPathTemplateOptions {
  /** What the template may name, such as `PluginName`. */
  readonly fields: readonly string[];
  /** Of these the ones whose value may have "/", and so be several segments of the path. */
  readonly paths?: readonly string[];
}

/**
 * Reads a template in the part of Go's text/template and of Sprig that docs/plugins/path-template.md describes.
 *
 * @throws SpiffeError `CONFIG_INVALID`, with what is not supported or not known
 */
export function parseAgentPathTemplate(
  text: string,
  { fields, paths = [] }: AgentPathTemplateOptions,
): AgentPathTemplate {
  const body = parseTemplate(text);
  const unknown = fieldsOf(body).find((name) => !fields.includes(name));
  if (unknown !== undefined) {
    throw new SpiffeError('CONFIG_INVALID', `the template has ".${unknown}": there are ${listOf(fields)}`);
  }
  return {
    agentId(trustDomain, values) {
      try {
        return agentIdOf(trustDomain, renderTemplate(body, values, paths));
      } catch (cause) {
        if (!isSpiffeError(cause)) throw cause;
        throw new SpiffeError(
          'ATTESTATION_DENIED',
          `"agent_path_template" ${quoteText(text)} gives no agent ID for this node: ${messageOf(cause)}`,
          { cause },
        );
      }
    },
  };
}

/** The setting `agent_path_template`; empty text is not given, as it is for SPIRE. */
export function agentPathTemplate(defaultText: string, options: AgentPathTemplateOptions) {
  return z
    .string({ error: 'must be a template, such as "/{{ .PluginName }}/…"' })
    .default('')
    .transform((text, ctx) => {
      try {
        return parseAgentPathTemplate(text === '' ? defaultText : text, options);
      } catch (error) {
        if (!isSpiffeError(error)) throw error;
        ctx.addIssue(error.message);
        return z.NEVER;
      }
    });
}

function agentIdOf(trustDomain: TrustDomain, path: string): SpiffeId {
  if (!path.startsWith('/')) {
    throw new SpiffeError('SPIFFE_ID_INVALID', `the path ${quoteText(path)} does not start with "/"`);
  }
  return spiffeIdOf(trustDomain, `/spire/agent${path}`);
}

function listOf(fields: readonly string[]): string {
  return fields.map((name) => `.${name}`).join(', ');
}
