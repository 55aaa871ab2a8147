// Command __NAME__ is a credential composer.
package main

import (
	"github.com/spiffe/spire-plugin-sdk/pluginmain"
	composerv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/server/credentialcomposer/v1"
	configv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/service/common/config/v1"
)

func main() {
	p := new(plugin)
	pluginmain.Serve(composerv1.CredentialComposerPluginServer(p), configv1.ConfigServiceServer(p))
}
