export { type InspectOptions, inspectPlugin } from './inspect-plugin.ts';
export type { Inspection } from './inspection.ts';
export type { Exercise, RunPhase } from './suggest-sandbox.ts';
