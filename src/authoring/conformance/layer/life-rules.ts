import { access } from 'node:fs/promises';
import { HealthDefinition } from '../../../gen/grpc/health/v1/health.ts';
import { GRPCBrokerDefinition } from '../../../gen/plugin/plugin.ts';
import { InitDefinition } from '../../../gen/spire/service/private/init/v1/init.ts';
import { describeExit } from '../../../plugin-host/plugin-carrier.ts';
import { RpcChannel } from '../../../rpc/channel.ts';
import { createClient } from '../../../rpc/client.ts';
import { HEALTH_SERVICE_NAME, HOST_SERVICES_BROKER_ID, pluginServiceName } from '../../../rpc/go-plugin.ts';
import { quoteText } from '../../../spiffe/quote-text.ts';
import { Status } from '../../../spiffe/status.ts';
import { unusedServices } from '../../trial/offered-kinds.ts';
import { GRACE_MS } from '../../trial/trial.ts';
import { describeOutcome, expectAnswer, expectAnything, outcomeOf } from '../outcome.ts';
import { pause } from '../pause.ts';
import { Doubt, NotApplicable, type Rule, requireThat } from '../rule.ts';
import { CALL_MS } from '../session.ts';

/** How long the address of the host services lags behind the call that needs it. */
const LATE_MS = 1_000;

/** Init, Deinit and the end. */
export const lifeRules: readonly Rule[] = [
  {
    id: 'broker.stream',
    title: 'keeps GRPCBroker.StartStream open, and takes the address of the host services on it',
    source: '§4',
    level: 'must',
    needs: 'connection',
    async check(subject) {
      const { address } = (await subject.start()).trial.process.handshake;
      using channel = RpcChannel.unix(address);
      await using stream = createClient(GRPCBrokerDefinition, channel).startStream();
      await stream.send({ serviceId: HOST_SERVICES_BROKER_ID, network: 'unix', address: '/nowhere', knock: undefined });
      const ended = stream.receive().then((message) => (message === undefined ? 'its end' : 'stays open'));
      const outcome = await outcomeOf(Promise.race([ended, pause(300).then(() => 'stays open')]));
      const came = outcome.ok ? outcome.answer : describeOutcome(outcome);
      requireThat(came === 'stays open', 'a stream that stays open', came);
      return undefined;
    },
  },
  {
    id: 'init.names',
    title: "names its kind's service, once, in the answer to Init",
    source: '§5',
    level: 'must',
    needs: 'connection',
    opens: 'services',
    async check(subject) {
      const { side, type } = subject.options.kind;
      const wanted = pluginServiceName(side, type);
      const session = await subject.session();
      const services = await expectAnswer(session.services(), 'Init');
      const found = services.filter((name) => name === wanted).length;
      const came = services.slice(0, 10).map(quoteText).join(', ') || 'no names';
      requireThat(found === 1, quoteText(wanted), came);
      return undefined;
    },
  },
  {
    id: 'init.no-others',
    title: 'names no service in the answer to Init that a host does not know',
    source: '§5',
    level: 'should',
    needs: 'services',
    async check(subject) {
      const services = await (await subject.session()).services();
      const others = unusedServices(services);
      requireThat(others.length === 0, 'none but its own and Config', others.slice(0, 10).map(quoteText).join(', '));
      return undefined;
    },
  },
  {
    id: 'init.late-broker',
    title: 'waits inside Init for the address of the host services, which comes on another stream',
    source: '§4, §12',
    level: 'must',
    needs: 'services',
    async check(subject) {
      const session = await subject.start();
      const init = (await session.client(InitDefinition)).init(
        { hostServiceNames: [...session.host.names] },
        { deadlineMs: CALL_MS },
      );
      const answer = expectAnswer(init, `Init, ${LATE_MS / 1_000} s before the address`);
      await Promise.race([answer, pause(LATE_MS)]);
      await session.offerHost();
      await answer;
      return undefined;
    },
  },
  {
    id: 'auto-mtls.works',
    title: 'works over AutoMTLS with host services, where it answers a certificate at all',
    source: '§3',
    level: 'should',
    needs: 'services',
    async check(subject) {
      const session = await subject.start({ autoMtls: true });
      if (session.trial.autoMtls === undefined) throw new NotApplicable('it offers none, and SPIRE asks for none');
      await expectAnswer(session.services(), 'Init over AutoMTLS');
      await expectAnswer(session.ready(), 'Configure over AutoMTLS');
      return undefined;
    },
  },
  {
    id: 'signal.interrupt',
    title: 'goes on at SIGINT, which a terminal sends to the whole group',
    source: '§4',
    level: 'should',
    needs: 'services',
    async check(subject) {
      const session = await subject.start();
      await session.services();
      process.kill(session.trial.process.pid, 'SIGINT');
      session.expectEnd();
      await Promise.race([session.trial.process.exited, pause(300)]);
      const { exit } = session.trial.process;
      requireThat(exit === undefined, 'that it goes on', `its end: it ${exit && describeExit(exit)}`);
      const check = (await session.client(HealthDefinition)).check(
        { service: HEALTH_SERVICE_NAME },
        { deadlineMs: CALL_MS },
      );
      await expectAnything(check, 'a call after SIGINT');
      return undefined;
    },
  },
  {
    id: 'end.deinit',
    title: 'answers Deinit, or is without it',
    source: '§5',
    level: 'must',
    needs: 'configured',
    async check(subject) {
      const session = await subject.start();
      await session.ready();
      const outcome = await outcomeOf((await session.client(InitDefinition)).deinit({}, { deadlineMs: CALL_MS }));
      if (!outcome.ok && outcome.status === Status.Unimplemented) return 'it is without';
      requireThat(outcome.ok, 'an answer or UNIMPLEMENTED', describeOutcome(outcome));
      return undefined;
    },
  },
  {
    id: 'end.shutdown',
    title: 'ends within 2 s of Shutdown',
    source: '§4, §5',
    level: 'must',
    needs: 'configured',
    async check(subject) {
      const session = await subject.start();
      await session.ready();
      const connection = await session.connection();
      session.expectEnd();
      connection.closeBroker();
      void connection.shutdown(GRACE_MS);
      const exit = await Promise.race([session.trial.process.exited, pause(GRACE_MS)]);
      requireThat(exit !== undefined, 'the end of its process within 2 s', 'none');
      if (exit.status !== 0) throw new Doubt(`expected exit status 0, came that it ${describeExit(exit)}`);
      return undefined;
    },
  },
  {
    id: 'end.socket',
    title: 'removes its socket when it ends',
    source: '§4',
    level: 'must',
    needs: 'configured',
    async check(subject) {
      const session = await subject.start();
      await session.ready();
      const connection = await session.connection();
      session.expectEnd();
      connection.closeBroker();
      void connection.shutdown(GRACE_MS);
      await Promise.race([session.trial.process.exited, pause(GRACE_MS)]);
      const { address } = session.trial.process.handshake;
      const isThere = await access(address).then(
        () => true,
        () => false,
      );
      requireThat(!isThere, 'no file at the path of its socket', 'one');
      return undefined;
    },
  },
];
