import { servePlugin } from '../../plugin-sdk/index.ts';
import { httpChallengeServerNodeAttestor } from './server.ts';

await servePlugin(httpChallengeServerNodeAttestor);
