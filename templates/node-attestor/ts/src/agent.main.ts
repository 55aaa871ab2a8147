import { servePlugin } from 'assayer/plugin-sdk';
import { agent } from './agent.ts';

await servePlugin(agent);
