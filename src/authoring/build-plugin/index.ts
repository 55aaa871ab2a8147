export { type BuildOptions, type BuiltPlugin, buildPlugin } from './build-plugin.ts';
