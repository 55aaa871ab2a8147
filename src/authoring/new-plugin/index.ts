export { type Half, halvesOf, KIND_NAMES, type KindName, parseKind } from './kinds.ts';
export { type NewPluginOptions, newPlugin } from './new-plugin.ts';
export type { Language } from './template-files.ts';
