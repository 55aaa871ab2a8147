// Command __NAME__ is an SVID store.
package main

import (
	"github.com/spiffe/spire-plugin-sdk/pluginmain"
	svidstorev1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/agent/svidstore/v1"
	configv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/service/common/config/v1"
)

func main() {
	p := new(plugin)
	pluginmain.Serve(svidstorev1.SVIDStorePluginServer(p), configv1.ConfigServiceServer(p))
}
