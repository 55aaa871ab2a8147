import { connect } from 'node:net';
import { APP_PROTOCOL_VERSION, handshakeEnvironment, PLUGIN_ENVIRONMENT } from '../../../rpc/go-plugin.ts';
import { parseHandshake } from '../../../rpc/handshake.ts';
import { messageOf } from '../../../spiffe/error.ts';
import { quoteText } from '../../../spiffe/quote-text.ts';
import { Mismatch, type Rule, requireThat } from '../rule.ts';
import type { Session } from '../session.ts';
import type { Subject } from '../subject.ts';
import { type BareRun, isHandshake, runBare } from './bare-run.ts';

/** How a process becomes a plugin. */
export const startRules: readonly Rule[] = [
  {
    id: 'start.handshake',
    title: 'writes a handshake of version 1 for gRPC over a Unix socket as its first line on stdout',
    source: '§2',
    level: 'must',
    needs: 'process',
    opens: 'process',
    async check(subject) {
      const { coreVersion, protocolVersion, network, protocol } = (await subject.session()).trial.process.handshake;
      const said = [coreVersion, protocolVersion, network, protocol].join('|');
      requireThat(said === '1|1|unix|grpc', 'a handshake of 1|1|unix|…|grpc|', said);
      return undefined;
    },
  },
  {
    id: 'start.cookie-absent',
    title: 'refuses to run without its magic cookie: exit status other than 0, no handshake',
    source: '§1',
    level: 'must',
    needs: 'alone',
    async check(subject) {
      const { [subject.options.kind.type]: _cookie, ...environment } = handshakeEnvironment(subject.options.kind.type);
      requireRefusal(await runBare(subject.options, environment));
      return undefined;
    },
  },
  {
    id: 'start.cookie-wrong',
    title: 'refuses to run with another value of its magic cookie: exit status other than 0, no handshake',
    source: '§1',
    level: 'must',
    needs: 'alone',
    async check(subject) {
      const { type } = subject.options.kind;
      requireRefusal(await runBare(subject.options, { ...handshakeEnvironment(type), [type]: 'another' }));
      return undefined;
    },
  },
  {
    id: 'start.versions',
    title: 'claims no version of the protocol that it does not have, where the host has only another',
    source: '§1, §2',
    level: 'must',
    needs: 'process',
    async check(subject) {
      const { type } = subject.options.kind;
      const versions = { [PLUGIN_ENVIRONMENT.protocolVersions]: '2' };
      const { firstLine } = await runBare(subject.options, { ...handshakeEnvironment(type), ...versions });
      if (!isHandshake(firstLine)) return 'it ends without a handshake';
      const { protocolVersion } = parseHandshake(firstLine);
      const came = `a handshake of version ${protocolVersion}`;
      requireThat(protocolVersion === APP_PROTOCOL_VERSION, 'no handshake, or one of version 1', came);
      return 'it answers with version 1, which that host refuses';
    },
  },
  {
    id: 'start.socket-folder',
    title: 'makes its socket in the folder that PLUGIN_UNIX_SOCKET_DIR and TMPDIR name',
    source: '§1, §2',
    level: 'must',
    needs: 'process',
    opens: 'connection',
    async check(subject) {
      const { folder, process } = (await subject.session()).trial;
      await folder.pinOwnSocket(process.handshake.address);
      return undefined;
    },
  },
  {
    id: 'start.listening',
    title: 'listens on its socket when it writes the handshake',
    source: '§2',
    level: 'must',
    needs: 'connection',
    async check(subject) {
      const { trial } = await subject.start();
      await dial(trial.process.handshake.address);
      return undefined;
    },
  },
  {
    id: 'start.no-certificate',
    title: 'leaves field 6 of the handshake empty where AutoMTLS was not asked for',
    source: '§2',
    level: 'must',
    needs: 'process',
    opens: 'connection',
    async check(subject) {
      const { certificate } = (await subject.session()).trial.process.handshake;
      const came = `a certificate of ${certificate?.length} bytes, at which SPIRE's server crashes`;
      requireThat(certificate === undefined, 'an empty field', came);
      return undefined;
    },
  },
  {
    id: 'start.no-multiplex',
    title: 'leaves out field 7 of the handshake where multiplexing was not asked for',
    source: '§2',
    level: 'must',
    needs: 'process',
    async check(subject) {
      const { multiplexed } = (await subject.session()).trial.process.handshake;
      requireThat(multiplexed === undefined, 'six fields at most', `a seventh: ${multiplexed}`);
      return undefined;
    },
  },
  {
    id: 'start.multiplex',
    title: 'answers true or false in field 7, or leaves it out, where multiplexing is asked for',
    source: '§2',
    level: 'must',
    needs: 'process',
    async check(subject) {
      const session = await startMultiplexed(subject);
      session.expectEnd();
      const { multiplexed } = session.trial.process.handshake;
      if (multiplexed === true) return 'it says true; what it does then was not tried';
      if (multiplexed === undefined) return 'it leaves the field out: a host that asks refuses it';
      await session.connection();
      return 'it says false: a host that asks refuses it';
    },
  },
];

async function startMultiplexed(subject: Subject): Promise<Session> {
  try {
    return await subject.start({ environment: { [PLUGIN_ENVIRONMENT.multiplex]: 'true' } });
  } catch (cause) {
    const came = messageOf(cause);
    throw new Mismatch('a handshake, with or without a seventh field', came, { cause });
  }
}

function requireRefusal({ status, firstLine }: BareRun): void {
  requireThat(!isHandshake(firstLine), 'no handshake on stdout', quoteText(firstLine));
  requireThat(status !== undefined, 'the end of the process within 10 s', 'none');
  requireThat(status !== 0, 'an exit status other than 0', 'status 0');
}

function dial(path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', (cause) => {
      reject(new Mismatch('a connection to its socket at once', cause.message, { cause }));
    });
  });
}
