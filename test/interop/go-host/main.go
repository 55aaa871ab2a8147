// Command go-host is a host of plugins made of go-plugin and the clients of SPIRE's plugin SDK: it shows that
// plugins of ours load there. It reads a job as JSON on stdin and writes what it saw as JSON on stdout.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"
)

type pluginSpec struct {
	Command []string `json:"command"`
	Config  string   `json:"config"`
}

type job struct {
	// Of what to try: a key of kinds.
	Try      string      `json:"try"`
	Side     string      `json:"side"`
	AutoMTLS bool        `json:"autoMtls"`
	Plugin   *pluginSpec `json:"plugin"`
	// The agent's half of a node attestor.
	AgentPlugin *pluginSpec `json:"agentPlugin"`
	Pids        []int32     `json:"pids"`
	// What is asked of an upstream authority.
	TTLs []int32 `json:"ttls"`
}

// kinds says which type of plugin each trial is for.
var kinds = map[string]string{
	"key-manager":         "KeyManager",
	"node-attestor":       "NodeAttestor",
	"node-refusals":       "NodeAttestor",
	"workload-attestor":   "WorkloadAttestor",
	"workload-references": "WorkloadAttestor",
	"upstream-authority":  "UpstreamAuthority",
	"upstream-cancel":     "UpstreamAuthority",
	"notifier":            "Notifier",
	"bundle-publisher":    "BundlePublisher",
	"credential-composer": "CredentialComposer",
	"svid-store":          "SVIDStore",
}

type report struct {
	Services []string `json:"services"`
	// What became of configurations that are good and that are not, of every plugin.
	Configuration []string `json:"configuration"`
	Seen          []string `json:"seen"`
	// What the plugin counted with the host's metrics.
	Counters []string `json:"counters"`
	Stopped  bool     `json:"stopped"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var todo job
	if err := json.NewDecoder(os.Stdin).Decode(&todo); err != nil {
		return err
	}
	kind, known := kinds[todo.Try]
	if !known {
		return fmt.Errorf("nothing is known of %q", todo.Try)
	}
	load := func(spec *pluginSpec) (*runningPlugin, error) {
		return start(ctx, startOptions{
			kind: kind, command: spec.Command, config: spec.Config, trustDomain: "example.org", autoMTLS: todo.AutoMTLS,
		})
	}
	loaded, err := load(todo.Plugin)
	if err != nil {
		return err
	}
	defer loaded.client.Kill()
	result := report{Services: loaded.services, Configuration: loaded.configuration}
	switch todo.Try {
	case "key-manager":
		result.Seen, err = tryKeyManager(ctx, loaded.conn, todo.Side)
	case "workload-attestor":
		result.Seen, err = attestWorkload(ctx, loaded.conn, todo.Pids)
	case "node-attestor", "node-refusals":
		agent, startErr := load(todo.AgentPlugin)
		if startErr != nil {
			return startErr
		}
		defer agent.client.Kill()
		result.Configuration = append(result.Configuration, agent.configuration...)
		if todo.Try == "node-refusals" {
			result.Seen = tryRefusals(ctx, loaded.conn, agent.conn)
		} else {
			result.Seen, err = attest(ctx, loaded.conn, agent.conn)
		}
	case "workload-references":
		result.Seen, err = attestReferences(ctx, loaded.conn, todo.Pids)
	case "upstream-authority":
		result.Seen, err = tryUpstream(ctx, loaded.conn, todo.TTLs)
	case "upstream-cancel":
		result.Seen, err = tryCancel(ctx, loaded.conn)
	case "notifier":
		result.Seen, err = tryNotifier(ctx, loaded.conn)
	case "bundle-publisher":
		result.Seen, err = tryBundlePublisher(ctx, loaded.conn)
	case "credential-composer":
		result.Seen, err = tryComposer(ctx, loaded.conn)
	case "svid-store":
		result.Seen, err = trySVIDStore(ctx, loaded.conn)
	}
	if err != nil {
		return err
	}
	result.Counters = counted()
	result.Stopped = loaded.stop(ctx)
	return json.NewEncoder(os.Stdout).Encode(result)
}
