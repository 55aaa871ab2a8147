import { pluginConfig, SQL, TestHost } from './go-plugins.ts';

// A host that loads the key manager named by its argument, says its process ID and socket, and ends without stopping it.
const [command = ''] = process.argv.slice(2);
const catalog = await new TestHost().load('server', [SQL, pluginConfig({ type: 'KeyManager', name: 'km', command })]);
const { endpoint } = await catalog.keyManager.generateKey('k', 'ec-p256');
const [status] = catalog.plugins;
process.stdout.write(JSON.stringify({ pid: status?.pid, socketPath: endpoint.socketPath }), () => process.exit(0));
