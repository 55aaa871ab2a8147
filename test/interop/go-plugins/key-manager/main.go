// A key manager in memory, for the server or, with the argument "agent", the agent.
package main

import (
	"os"

	"github.com/spiffe/spire-plugin-sdk/pluginmain"
	agentkeymanagerv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/agent/keymanager/v1"
	serverkeymanagerv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/server/keymanager/v1"
)

func main() {
	held := &keys{byID: map[string]*key{}}
	if len(os.Args) > 1 && os.Args[1] == "agent" {
		pluginmain.Serve(agentkeymanagerv1.KeyManagerPluginServer(&agentPlugin{keys: held}))
		return
	}
	pluginmain.Serve(serverkeymanagerv1.KeyManagerPluginServer(&serverPlugin{keys: held}))
}
