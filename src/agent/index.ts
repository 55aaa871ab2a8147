export { type AgentOptions, type RunningAgent, startAgent } from './agent.ts';
