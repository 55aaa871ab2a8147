import { servePlugin } from '../../plugin-sdk/index.ts';
import { uniqueIdCredentialComposer } from './credential-composer.ts';

await servePlugin(uniqueIdCredentialComposer);
