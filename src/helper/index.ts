export { type HelperOptions, type RunningHelper, startHelper } from './start-helper.ts';
