import { describe, expect, test } from 'vitest';
import { httpAgentConfig } from '../../../src/plugins/http-challenge/agent-config.ts';
import { parseDnsPattern } from '../../../src/plugins/http-challenge/dns-pattern.ts';
import { httpServerConfig } from '../../../src/plugins/http-challenge/server-config.ts';

// docs/plugins/http-challenge.md

describe('the configuration', () => {
  test.each([
    ['no first use on any port', { tofu: false }, /can be false only where root alone listens/],
    ['no first use on a port of anybody', { tofu: false, required_port: 8080 }, /can be false only where/],
    ['no first use where anybody listens', { tofu: false, allow_non_root_ports: true }, /can be false only where/],
    ['a port that is forbidden', { required_port: 8080, allow_non_root_ports: false }, /no agent would be admitted/],
    ['a port that is none', { required_port: 0 }, /required_port|>=1|at least 1/i],
    ['a pattern that is none', { allowed_dns_patterns: ['('] }, /the pattern "\(" does not read/],
    ['a pattern that Go does not know', { allowed_dns_patterns: ['(?=a)'] }, /"\(\?=" is not supported here/],
    ['a pattern that only Go knows', { allowed_dns_patterns: ['[[:alpha:]]'] }, /"\[\[:" is not supported here/],
    ['a network that is none', { allowed_networks: ['127.0.0.1'] }, /must be a network in CIDR notation/],
  ])('of the server with %s is refused', (_what, settings, message) => {
    const { error } = httpServerConfig.safeParse(settings);
    expect(error?.issues.map(({ message: one }) => one).join('\n')).toMatch(message);
  });

  test.each([
    [{ tofu: false, required_port: 80 }, 80],
    [{ tofu: false, allow_non_root_ports: false }, undefined],
  ])('of the server may do without the first use where root alone listens: %o', (settings, port) => {
    expect(httpServerConfig.parse(settings).required_port).toBe(port);
  });

  test.each([
    ['^node-[0-9]+\\.example\\.org$', 'node-7.example.org', true],
    ['^node-[0-9]+\\.example\\.org$', 'xnode-7.example.org', false],
    ['(?i)EXAMPLE', 'a.example.org', true],
    ['(?P<host>a)\\.', 'a.b', true],
    ['example', 'an.example.org', true],
  ])('has the pattern %s, which of %s says %s', (text, name, matches) => {
    expect(parseDnsPattern(text)(name)).toBe(matches);
  });

  test('of the agent has SPIRE’s defaults', () => {
    expect(httpAgentConfig.parse({ hostname: '', port: 0 })).toEqual({
      hostname: expect.stringMatching(/./),
      agentname: 'default',
      port: undefined,
      advertised_port: undefined,
    });
    expect(httpAgentConfig.safeParse({ agentname: '7up' }).success).toBe(false);
  });
});
