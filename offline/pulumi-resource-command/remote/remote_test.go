package remote

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"github.com/pulumi/pulumi-go-provider/infer/types"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"golang.org/x/crypto/ssh"

	"xsched-triton/offline/pulumi-resource-command/script"
)

func newKey(t *testing.T) (ssh.Signer, string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	return signer, string(pem.EncodeToMemory(block))
}

func pointer[T any](value T) *T { return &value }

// serve is an SSH server on loopback that runs commands and offers SFTP, and a connection that it accepts.
func serve(t *testing.T) *Connection {
	t.Helper()
	hostKey, _ := newKey(t)
	userKey, private := newKey(t)
	config := &ssh.ServerConfig{
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if !bytes.Equal(key.Marshal(), userKey.PublicKey().Marshal()) {
				return nil, errors.New("unknown key")
			}
			return nil, nil
		},
	}
	config.AddHostKey(hostKey)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go accept(connection, config)
		}
	}()
	t.Setenv("SSH_AUTH_SOCK", "")
	return &Connection{
		User: pointer("someone"), Host: pointer("127.0.0.1"),
		Port:           pointer(float64(listener.Addr().(*net.TCPAddr).Port)),
		PrivateKey:     &private,
		HostKey:        pointer(string(ssh.MarshalAuthorizedKey(hostKey.PublicKey()))),
		DialErrorLimit: pointer(1), PerDialTimeout: pointer(5),
	}
}

func accept(connection net.Conn, config *ssh.ServerConfig) {
	_, channels, requests, err := ssh.NewServerConn(connection, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for offered := range channels {
		channel, requests, err := offered.Accept()
		if err != nil {
			return
		}
		go session(channel, requests)
	}
}

func session(channel ssh.Channel, requests <-chan *ssh.Request) {
	process := make(chan *exec.Cmd, 1)
	for request := range requests {
		var payload struct{ Text string }
		_ = ssh.Unmarshal(request.Payload, &payload)
		_ = request.Reply(request.Type != "env", nil) // like most servers
		switch request.Type {
		case "exec":
			command := exec.Command("/bin/sh", "-c", "exec "+payload.Text)
			command.Stdin, command.Stdout, command.Stderr = channel, channel, channel.Stderr()
			if err := command.Start(); err != nil {
				_ = channel.Close()
				continue
			}
			process <- command
			go func() {
				_ = command.Wait()
				status := uint32(command.ProcessState.ExitCode())
				_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
				_ = channel.Close()
			}()
		case "signal":
			_ = (<-process).Process.Signal(os.Interrupt)
		case "subsystem":
			server, _ := sftp.NewServer(channel)
			go func() {
				_ = server.Serve()
				_ = channel.Close()
			}()
		}
	}
}

func TestRemoteCommand(t *testing.T) {
	in := Inputs{Connection: serve(t)}
	in.Stdin = pointer("from stdin")
	outputs, err := in.run(t.Context())("cat", script.Outputs{})
	if err != nil || outputs != (script.Outputs{Stdout: "from stdin"}) {
		t.Errorf("outputs %q (error %v)", outputs, err)
	}
	in.Stdin = pointer("")
	_, err = in.run(t.Context())("sh -c 'echo reason >&2; exit 3'", script.Outputs{Stdout: "not accepted, and no fault"})
	if err == nil || !strings.Contains(err.Error(), "reason") || !strings.Contains(err.Error(), "status 3") {
		t.Errorf("error %v", err)
	}
	in.Environment = &map[string]string{"NAME": "value"}
	_, err = in.run(t.Context())("true", script.Outputs{})
	if err == nil || !strings.Contains(err.Error(), "does not accept the variable NAME") {
		t.Errorf("error %v", err)
	}
}

func TestCancellationSignalsTheRemoteCommand(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begin := time.Now()
	in := Inputs{Connection: serve(t)}
	in.Stdin = pointer("")
	_, err := in.run(ctx)("sleep 30", script.Outputs{})
	if err == nil || time.Since(begin) > closeAfter {
		t.Errorf("ended after %s with %v", time.Since(begin), err)
	}
}

func TestAnotherHostKeyIsRefusedAtOnceAndNamed(t *testing.T) {
	connection := serve(t)
	connection.DialErrorLimit = pointer(-1)
	right, _, _, _, _ := ssh.ParseAuthorizedKey([]byte(*connection.HostKey))
	other, _ := newKey(t)
	connection.HostKey = pointer(string(ssh.MarshalAuthorizedKey(other.PublicKey())))
	_, err := connection.dial(t.Context())
	for _, part := range []string{
		connection.address(), ssh.FingerprintSHA256(right), ssh.FingerprintSHA256(other.PublicKey()), "fix:",
	} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in %v", part, err)
		}
	}
}

func TestASilentServerDoesNotHang(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	connection := serve(t)
	connection.Port = pointer(float64(listener.Addr().(*net.TCPAddr).Port))
	connection.PerDialTimeout, connection.DialErrorLimit = pointer(1), pointer(0)
	if _, err := connection.dial(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot log in to someone@") {
		t.Errorf("error %v", err)
	}
}

func TestDialRetriesAreCounted(t *testing.T) {
	connection := serve(t)
	_, stranger := newKey(t)
	connection.PrivateKey = &stranger
	_, err := connection.dial(t.Context())
	if err == nil || !strings.Contains(err.Error(), "2 attempts") {
		t.Errorf("error %v", err)
	}
}

func TestCopy(t *testing.T) {
	source, destination := t.TempDir(), t.TempDir()
	write := func(name string) {
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte("x"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(source, "tree", "file"))
	write(filepath.Join(source, "tree", "sub", "file"))
	write(filepath.Join(destination, "here", "kept"))
	write(filepath.Join(destination, "occupied"))
	asset := func(a *resource.Asset, err error) types.AssetOrArchive { return types.AssetOrArchive{Asset: a} }
	tree := func(suffix string) types.AssetOrArchive {
		archive, err := resource.NewPathArchive(filepath.Join(source, "tree"))
		if err != nil {
			t.Fatal(err)
		}
		archive.Path += suffix
		return types.AssetOrArchive{Archive: archive}
	}
	file := asset(resource.NewPathAsset(filepath.Join(source, "tree", "file")))
	words := asset(resource.NewTextAsset("words"))

	connection := serve(t)
	for _, test := range []struct {
		name   string
		source types.AssetOrArchive
		to     string
		want   []string // files that must exist, or
		fails  string   // what the error must say
	}{
		{"text", words, "new/text", []string{"new/text"}, ""},
		{"text onto a directory", words, "here", nil, "is a directory"},
		{"file to an absent path", file, "new/name", []string{"new/name"}, ""},
		{"file into a directory", file, "here", []string{"here/file", "here/kept"}, ""},
		{"file over a file", file, "occupied", []string{"occupied"}, ""},
		{"directory into an absent one", tree(""), "a/b", []string{"a/b/tree/file", "a/b/tree/sub/file"}, ""},
		{"directory into a directory", tree(""), "here", []string{"here/tree/sub/file"}, ""},
		{"contents into a directory", tree("/"), "here", []string{"here/sub/file", "here/kept"}, ""},
		{"directory onto a file", tree("/"), "occupied", nil, "cannot make the remote directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := CopyInputs{Connection: connection, Source: test.source, RemotePath: filepath.Join(destination, test.to)}
			err := in.copy(t.Context())
			if test.fails != "" {
				if err == nil || !strings.Contains(err.Error(), test.fails) {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range test.want {
				if _, err := os.Stat(filepath.Join(destination, name)); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
