export { type AgentOptions, type RunningAgent, startAgent } from './agent.ts';
export { validateAgent } from './validate.ts';
