import { servePlugin } from 'assayer/plugin-sdk';
import { plugin } from './plugin.ts';

await servePlugin(plugin);
