// Command __NAME__ is an upstream authority.
package main

import (
	"github.com/spiffe/spire-plugin-sdk/pluginmain"
	upstreamv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/server/upstreamauthority/v1"
	configv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/service/common/config/v1"
)

func main() {
	p := new(plugin)
	pluginmain.Serve(upstreamv1.UpstreamAuthorityPluginServer(p), configv1.ConfigServiceServer(p))
}
