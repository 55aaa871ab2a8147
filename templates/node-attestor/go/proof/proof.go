// Package proof has what both halves compute.
package proof

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"os"
	"regexp"
)

// ChallengeBytes is how long a challenge is.
const ChallengeBytes = 32

const minKeyBytes, maxKeyBytes = 32, 4096

// NodeName starts with a letter or a digit: it is a file's name on the server, and the end of an agent's ID.
var NodeName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,62}$`)

// Of is computed by whoever has the key, for this challenge and this node alone.
func Of(key []byte, node string, challenge []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(challenge)
	mac.Write([]byte(node))
	return mac.Sum(nil)
}

// ReadKey reads the key of a node.
func ReadKey(path string) ([]byte, error) {
	key, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the key of the node cannot be read: %w", err)
	}
	if len(key) < minKeyBytes || len(key) > maxKeyBytes {
		return nil, fmt.Errorf("a key has %d to %d bytes, this one %d", minKeyBytes, maxKeyBytes, len(key))
	}
	return key, nil
}
