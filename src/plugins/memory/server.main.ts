import { servePlugin } from '../../plugin-sdk/index.ts';
import { memoryKeyManager } from './key-manager.ts';

await servePlugin(memoryKeyManager('server'));
