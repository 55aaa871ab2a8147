import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources';
import type { TracedPlugin, TracingOptions } from './tracing.ts';

const INSTANCE = randomUUID();

export function programResource({ program, trustDomain, version }: TracingOptions): Resource {
  return resourceFromAttributes({
    ...common(version),
    'service.name': `assayer-${program}`,
    'spiffe.trust_domain': trustDomain,
  });
}

const plugins = new Map<string, Resource>();

/** Of a plugin that the program runs, whose spans the program sends on. */
export function pluginResource(program: TracingOptions['program'], plugin: TracedPlugin, version: string): Resource {
  const key = `${program} ${plugin.type} ${plugin.name}`;
  const known = plugins.get(key);
  if (known !== undefined) return known;
  const made = resourceFromAttributes({
    ...common(version),
    'service.name': `assayer-${program}-plugin-${plugin.name}`,
    'assayer.plugin.type': plugin.type,
    'assayer.plugin.name': plugin.name,
  });
  plugins.set(key, made);
  return made;
}

function common(version: string) {
  return { 'service.version': version, 'service.instance.id': INSTANCE, 'host.name': hostname() };
}
