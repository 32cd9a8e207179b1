package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	provider "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/retry"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// Connection says how to reach a machine. The whole of it is a secret in the state.
type Connection struct {
	User               *string  `pulumi:"user,optional"`
	Host               *string  `pulumi:"host"`
	Port               *float64 `pulumi:"port,optional"`
	Password           *string  `pulumi:"password,optional" provider:"secret"`
	PrivateKey         *string  `pulumi:"privateKey,optional" provider:"secret"`
	PrivateKeyPassword *string  `pulumi:"privateKeyPassword,optional" provider:"secret"`
	AgentSocketPath    *string  `pulumi:"agentSocketPath,optional"`
	DialErrorLimit     *int     `pulumi:"dialErrorLimit,optional"`
	PerDialTimeout     *int     `pulumi:"perDialTimeout,optional"`
	HostKey            *string  `pulumi:"hostKey,optional"`
}

func (c *Connection) Annotate(a infer.Annotator) {
	a.Describe(&c.Host, "Name or address of the machine.")
	a.Describe(&c.Port, "TCP port of its SSH server.")
	a.SetDefault(&c.Port, 22)
	a.Describe(&c.User, "User to log in as.")
	a.SetDefault(&c.User, "root")
	a.Describe(&c.PrivateKey, "Private key, tried before the password.")
	a.Describe(&c.PrivateKeyPassword, "Password of an encrypted private key.")
	a.Describe(&c.Password, "Password of the user.")
	a.Describe(&c.AgentSocketPath, "Socket of an SSH agent; by default that of SSH_AUTH_SOCK, if set.")
	a.Describe(&c.DialErrorLimit, "How many failed attempts to retry; -1 retries for ever.")
	a.SetDefault(&c.DialErrorLimit, 10)
	a.Describe(&c.PerDialTimeout, "Seconds that one attempt may take; 0 is no limit.")
	a.SetDefault(&c.PerDialTimeout, 15)
	a.Describe(&c.HostKey, "Public key that the server must show (`ssh-ed25519 AAAA…`). Without it any key is accepted.")
}

// hostKeyMismatch is not worth a retry: the key will not change, and it may be an attack.
type hostKeyMismatch struct {
	address        string
	expected, seen ssh.PublicKey
}

func (e *hostKeyMismatch) Error() string {
	return fmt.Sprintf(
		"ssh: host key mismatch: %s shows the key %s %s, but hostKey is %s %s; "+
			"fix: if the server's key was changed on purpose, set hostKey to the new one, otherwise do not connect",
		e.address, e.seen.Type(), ssh.FingerprintSHA256(e.seen), e.expected.Type(), ssh.FingerprintSHA256(e.expected))
}

func (c *Connection) address() string {
	return net.JoinHostPort(*c.Host, strconv.Itoa(int(*c.Port)))
}

// verification is the host key callback and the algorithms to offer, most wanted first.
func (c *Connection) verification() (ssh.HostKeyCallback, []string, error) {
	if c.HostKey == nil {
		return ssh.InsecureIgnoreHostKey(), nil, nil
	}
	expected, _, _, _, err := ssh.ParseAuthorizedKey([]byte(*c.HostKey))
	if err != nil {
		return nil, nil, fmt.Errorf("connection.hostKey is not a public key like \"ssh-ed25519 AAAA…\": %w", err)
	}
	// An RSA key signs with several algorithms, and servers refuse the one that is named like the key.
	wanted := []string{expected.Type()}
	if expected.Type() == ssh.KeyAlgoRSA {
		wanted = []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	// The others only serve to name the server's key in the message when it has none of the wanted type.
	algorithms := append(wanted, ssh.SupportedAlgorithms().HostKeys...)
	callback := func(_ string, _ net.Addr, seen ssh.PublicKey) error {
		if !bytes.Equal(seen.Marshal(), expected.Marshal()) {
			return &hostKeyMismatch{address: c.address(), expected: expected, seen: seen}
		}
		return nil
	}
	return callback, algorithms, nil
}

// authentication is the ways to log in, and what to call when they are no longer needed.
func (c *Connection) authentication() ([]ssh.AuthMethod, func(), error) {
	var methods []ssh.AuthMethod
	if c.PrivateKey != nil {
		var signer ssh.Signer
		var err error
		if c.PrivateKeyPassword != nil {
			signer, err = ssh.ParsePrivateKeyWithPassphrase([]byte(*c.PrivateKey), []byte(*c.PrivateKeyPassword))
		} else {
			signer, err = ssh.ParsePrivateKey([]byte(*c.PrivateKey))
		}
		if err != nil {
			return nil, nil, fmt.Errorf("connection.privateKey: %w", err)
		}
		methods = append(methods, ssh.PublicKeys(signer))
	}
	if c.Password != nil {
		methods = append(methods, ssh.Password(*c.Password), ssh.KeyboardInteractive(
			func(_, _ string, questions []string, _ []bool) ([]string, error) {
				answers := make([]string, len(questions))
				for i := range answers {
					answers[i] = *c.Password
				}
				return answers, nil
			}))
	}
	socket := os.Getenv("SSH_AUTH_SOCK")
	if c.AgentSocketPath != nil {
		socket = *c.AgentSocketPath
	}
	if socket == "" {
		return methods, func() {}, nil
	}
	keys, err := net.Dial("unix", socket)
	if err != nil {
		if c.AgentSocketPath == nil && len(methods) > 0 {
			return methods, func() {}, nil // A stale SSH_AUTH_SOCK does not matter to who logs in otherwise.
		}
		return nil, nil, fmt.Errorf("cannot reach the SSH agent: %w", err)
	}
	methods = append(methods, ssh.PublicKeysCallback(agent.NewClient(keys).Signers))
	return methods, func() { _ = keys.Close() }, nil
}

// dial connects, and tries again with growing pauses, because a machine that has just been made is not up yet.
func (c *Connection) dial(ctx context.Context) (*ssh.Client, error) {
	callback, algorithms, err := c.verification()
	if err != nil {
		return nil, err
	}
	methods, done, err := c.authentication()
	if err != nil {
		return nil, err
	}
	defer done()
	config := &ssh.ClientConfig{
		User:              *c.User,
		Auth:              methods,
		HostKeyCallback:   callback,
		HostKeyAlgorithms: algorithms,
	}

	var client *ssh.Client
	finished, _, err := retry.Until(ctx, retry.Acceptor{
		Accept: func(failed int, _ time.Duration) (bool, any, error) {
			var err error
			if client, err = c.attempt(ctx, config); err == nil {
				return true, nil, nil
			}
			var mismatch *hostKeyMismatch
			if errors.As(err, &mismatch) {
				return true, nil, mismatch
			}
			attempts, limit := failed+1, *c.DialErrorLimit
			if limit >= 0 && attempts > limit {
				return true, nil, fmt.Errorf("cannot log in to %s@%s, %d attempts: %w", *c.User, c.address(), attempts, err)
			}
			provider.GetLogger(ctx).InfoStatusf("attempt %d to connect to %s failed, trying again: %v",
				attempts, c.address(), err)
			return false, nil, nil
		},
	})
	if err == nil && !finished {
		err = ctx.Err()
	}
	return client, err
}

// attempt connects once. The time limit holds for the handshake too: a machine that is booting, or out of memory,
// may accept a connection and then say nothing.
func (c *Connection) attempt(ctx context.Context, config *ssh.ClientConfig) (*ssh.Client, error) {
	limit := time.Duration(*c.PerDialTimeout) * time.Second
	dialer := net.Dialer{Timeout: limit}
	connection, err := dialer.DialContext(ctx, "tcp", c.address())
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = connection.Close() })
	defer stop()
	if limit > 0 {
		_ = connection.SetDeadline(time.Now().Add(limit))
	}
	session, channels, requests, err := ssh.NewClientConn(connection, c.address(), config)
	if err != nil {
		_ = connection.Close()
		return nil, err
	}
	_ = connection.SetDeadline(time.Time{})
	return ssh.NewClient(session, channels, requests), nil
}
