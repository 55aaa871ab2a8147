import { describe, expect, test } from 'vitest';
import { agentPathTemplate, parseAgentPathTemplate } from '../../src/plugin-sdk/agent-path-template.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';

// docs/plugins/path-template.md

const trustDomain = parseTrustDomain('example.org');
const values = {
  PluginName: 'x509pop',
  Name: 'node-7.Example.org',
  Spaced: ' two  words ',
  Path: 'a/b',
  Empty: '',
  Number: 42,
  Subject: { CommonName: 'node 7', Organization: ['Acme', 'Rockets', 'Acme'] },
  Tags: { zone: 'eu' },
};
const options = { fields: Object.keys(values), paths: ['Path'] };
const pathOf = (template: string) =>
  parseAgentPathTemplate(template, options)
    .agentId(trustDomain, values)
    .slice('spiffe://example.org/spire/agent'.length);

describe('a template gives the path of an agent', () => {
  test.each([
    ['/{{ .PluginName }}/{{.Number}}', '/x509pop/42'],
    ['/plain', '/plain'],
    ['/{{- .PluginName -}} \n /x', '/x509pop/x'],
    ['/a{{/* a comment */}}b{{- /* another */ -}} c', '/abc'],
    ['/{{ $.PluginName }}/{{ .Path }}', '/x509pop/a/b'],
    ['/{{ .Subject.CommonName | replace " " "-" | upper }}', '/NODE-7'],
    ['/{{ index .Subject.Organization 1 | lower }}', '/rockets'],
    ['/{{ (index .Subject.Organization 0) }}', '/Acme'],
    ['/{{ index .Tags "zone" }}/{{ get .Tags "none" | default "no-zone" }}', '/eu/no-zone'],
    ['/{{ if eq .PluginName "tpm" "x509pop" }}a{{ else }}b{{ end }}', '/a'],
    ['/{{ if .Empty }}a{{ else if hasKey .Tags "zone" }}b{{ else }}c{{ end }}', '/b'],
    ['/{{ with .Tags }}{{ .zone }}.{{ $.Number }}{{ else }}none{{ end }}', '/eu.42'],
    ['/{{ with .Empty }}a{{ else }}none{{ end }}', '/none'],
    ['/{{ printf "%s-%04d-%x" .PluginName .Number .PluginName }}', '/x509pop-0042-78353039706f70'],
    ['/{{ print "a" 1 2 "b" }}', undefined],
    ['/{{ .Name | trimSuffix ".Example.org" | trimPrefix "node" | trimAll "-" }}', '/7'],
    ['/{{ splitList "." .Name | rest | join "." }}', '/Example.org'],
    ['/{{ .Spaced | trim | title | nospace }}', '/TwoWords'],
    ['/{{ .Subject.Organization | uniq | sortAlpha | reverse | join "_" }}', '/Rockets_Acme'],
    ['/{{ trunc 4 .Name }}{{ trunc -3 .Name }}{{ substr 5 6 .Name }}', '/nodeorg7'],
    ['/{{ sha256sum .PluginName | trunc 8 }}', '/0acf7f32'],
    ['/{{ ternary "yes" "no" (and (gt .Number 41) (lt .Number 43)) }}', '/yes'],
    ['/{{ or .Empty .Tags.none }}', undefined],
    ['/{{ or .PluginName .Tags.none }}', '/x509pop'],
    ['/{{ base .Path }}{{ dir .Path }}{{ ext .Name }}', '/ba.org'],
    ['/{{ slice .Subject.Organization 1 2 | first }}', '/Rockets'],
    ['/{{ len .Subject.Organization }}{{ not true }}', '/3false'],
    ['/{{ `back-quotes` }}{{ "\\u0041" }}', '/back-quotesA'],
    ['/{{ coalesce .Empty nil "x" }}', '/x'],
  ])('%s → %s', (template, path) => {
    if (path === undefined) expect(() => pathOf(template)).toThrow(/gives no agent ID for this node/);
    else expect(pathOf(template)).toBe(path);
  });
});

describe('a template that is no good is refused before it is used', () => {
  test.each([
    ['/{{ .Name', /"\{\{" that is never closed/],
    ['/{{ .Nothing }}', /has ".Nothing": there are .PluginName, .Name/],
    ['/{{ with .Tags }}{{ $.Nothing }}{{ end }}', /has ".Nothing"/],
    ['/{{ range .Tags }}x{{ end }}', /"range", which is not supported/],
    ['/{{ template "x" }}', /"template", which is not supported/],
    ['/{{ $name := .Name }}', /variables are not supported/],
    ['/{{ uuidv4 }}', /"uuidv4", one of SPIRE’s functions that is not supported here: there are all, and/],
    ['/{{ regexMatch "a" .Name }}', /"regexMatch", one of SPIRE’s functions/],
    ['/{{ nonsense .Name }}', /"nonsense", which is no function/],
    ['/{{ constructor }}', /"constructor", which is no function/],
    ['/{{ upper }}', /0 arguments for "upper", which takes 1/],
    ['/{{ .Name | upper "x" }}', /2 arguments for "upper"/],
    ['/{{ upper (list) replace }}', /0 arguments for "replace"/],
    ['/{{ }}', /without a value/],
    ['/{{ .Name "x" }}', /several values side by side/],
    ['/{{ .Name | .Path }}', /a value behind "\|"/],
    ['/{{ (.Name }}', /a "\(" without its "\)"/],
    ['/{{ .Name) }}', /a "\)" without its "\("/],
    ['/{{ if .Name }}x', /"if" without its "\{\{end\}\}"/],
    ['/{{ if .Name }}x{{ else }}y{{ else }}z{{ end }}', /"if" without its/],
    ['/{{ if .Name }}x{{ else with .Path }}y{{ end }}', /something behind "else"/],
    ['/{{ end }}', /"\{\{end\}\}" without an "if"/],
    ['/{{ 1.5 }}', /cannot be read/],
    ['/{{ 0x10 }}', /cannot be read/],
    ['/{{ 010 }}', /only whole decimal numbers/],
    ['/{{ "\\x41" }}', /has the escape .* which is not supported: write it between back-quotes/],
    ["/{{ 'a' }}", /cannot be read/],
    ['/{{ "a"b }}', /cannot be read/],
    [`/${'{{if true}}'.repeat(20)}${'{{end}}'.repeat(20)}`, /more than 16/],
    [`/{{ ${'('.repeat(20)}1${')'.repeat(20)} }}`, /more than 16/],
    [`/${'x'.repeat(4100)}`, /has 4101 characters, at most 4096/],
  ])('%s', (template, message) => {
    expect(() => parseAgentPathTemplate(template, options)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) }),
    );
  });
});

describe('a node for which the template gives no path is denied', () => {
  test.each([
    ['no slash first', '{{ .PluginName }}', /the path "x509pop" does not start with "\/"/],
    ['nothing', '{{ .Empty }}', /the path "" does not start/],
    ['an empty segment', '/{{ .Empty }}/x', /empty path segment/],
    ['a slash at the end', '/x/{{ .Empty }}', /ends in a slash/],
    ['a dot segment', '/{{ print ".." }}', /dot segment/],
    ['a space', '/{{ .Subject.CommonName }}', /a character outside of/],
    ['a letter that is not ASCII', '/{{ print "é" }}', /a character outside of/],
    ['a missing entry', '/{{ .Tags.none }}', /there is no ".Tags.none"/],
    ['what every object has', '/{{ .Tags.constructor }}', /there is no ".Tags.constructor"/],
    ['an entry of a text', '/{{ .Name.x }}', /there is no ".Name.x"/],
    ['a value with a slash', '/{{ .Subject.Slashed }}', /there is no|a "\/", which would begin another segment/],
    ['a list', '/{{ .Subject.Organization }}', /it puts a list into the path/],
    ['a map', '/{{ $ }}', /it puts a map into the path/],
    ['nothing at all', '/{{ first list }}', /it puts nothing into the path/],
    ['an element that is not there', '/{{ index .Subject.Organization 3 }}', /asked for 3 of 3 elements/],
    ['a text in the place of a list', '/{{ first .Name }}', /"first" is given a text, where a list/],
    ['a number in the place of a text', '/{{ upper .Number }}', /"upper" is given a number, where a text/],
    ['a comparison of different kinds', '/{{ if eq .Number "42" }}x{{ end }}', /cannot compare a number with a text/],
    ['too much repetition', '/{{ repeat 100000 "xx" }}', /is asked for 100000 times/],
    ['repetition of repetition', '/{{ repeat 90 "x" | repeat 90 | repeat 90 }}', /is asked for 90 times 8100/],
    ['an ID that is too long', '/{{ repeat 2100 "x" }}', /2048 at most/],
    ['what the operator refuses', '/{{ fail "not in my house" }}', /it fails with "not in my house"/],
    ['a value too few', '/{{ printf "%s" }}', /has no value for "%s"/],
    ['a value too many', '/{{ printf "x" 1 }}', /has 1 values more/],
    ['another verb', '/{{ printf "%q" "x" }}', /cannot write a text as "%q"/],
    ['cutting what is not ASCII', '/{{ trunc 1 "é" }}', /characters outside of ASCII/],
  ])('%s', (_what, template, message) => {
    expect(() => pathOf(template)).toThrow(
      expect.objectContaining({ code: 'ATTESTATION_DENIED', message: expect.stringMatching(message) }),
    );
  });

  test('because a value as it is may not become two segments, where it is not meant to', () => {
    const template = parseAgentPathTemplate('/{{ .PluginName }}/{{ .Path }}', { fields: options.fields });
    expect(() => template.agentId(trustDomain, values)).toThrow(
      '"agent_path_template" "/{{ .PluginName }}/{{ .Path }}" gives no agent ID for this node: the value "a/b" has a "/"',
    );
  });
});

describe('the setting', () => {
  const setting = agentPathTemplate('/{{ .PluginName }}/default', options);

  test.each([
    ['left out', undefined, '/x509pop/default'],
    ['empty, which SPIRE takes for left out', '', '/x509pop/default'],
    ['given', '/{{ .PluginName }}/x', '/x509pop/x'],
  ])('%s', (_what, text, path) => {
    expect(setting.parse(text).agentId(trustDomain, values)).toBe(`spiffe://example.org/spire/agent${path}`);
  });

  test('with a mistake is a mistake of the configuration', () => {
    const { error } = setting.safeParse('/{{ .Nothing }}');
    expect(error?.issues.map(({ message }) => message)).toEqual([
      expect.stringContaining('the template has ".Nothing"'),
    ]);
  });
});
