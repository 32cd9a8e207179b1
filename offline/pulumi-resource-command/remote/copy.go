package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/pkg/sftp"
	provider "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi-go-provider/infer/types"

	"xsched-triton/offline/pulumi-resource-command/script"
)

// CopyToRemote is the resource command:remote:CopyToRemote. Deleting it leaves the files where they are.
type CopyToRemote struct{}

// CopyInputs of a copy. Directories are copied recursively; archives are not unpacked.
type CopyInputs struct {
	Connection *Connection          `pulumi:"connection" provider:"secret"`
	Triggers   *[]any               `pulumi:"triggers,optional" provider:"replaceOnChanges"`
	Source     types.AssetOrArchive `pulumi:"source"`
	RemotePath string               `pulumi:"remotePath"`
}

// CopyState of a copy.
type CopyState struct{ CopyInputs }

func (*CopyToRemote) Annotate(a infer.Annotator) { a.SetToken("remote", "CopyToRemote") }

func (*CopyToRemote) Check(
	ctx context.Context, request infer.CheckRequest,
) (infer.CheckResponse[CopyInputs], error) {
	inputs, failures, err := infer.DefaultCheck[CopyInputs](ctx, request.NewInputs)
	asset, archive := inputs.Source.Asset, inputs.Source.Archive
	known := request.NewInputs.Get("source")
	usable := (asset != nil && (asset.IsPath() || asset.IsText())) || (archive != nil && archive.IsPath())
	if err == nil && !usable && !known.HasComputed() {
		failures = append(failures, provider.CheckFailure{
			Property: "source",
			Reason:   "must be a FileAsset, a StringAsset, or a FileArchive",
		})
	}
	return infer.CheckResponse[CopyInputs]{Inputs: inputs, Failures: failures}, err
}

func (*CopyToRemote) Create(
	ctx context.Context, request infer.CreateRequest[CopyInputs],
) (infer.CreateResponse[CopyState], error) {
	response := infer.CreateResponse[CopyState]{Output: CopyState{request.Inputs}}
	if request.DryRun {
		return response, nil
	}
	var err error
	if response.ID, err = script.NewID(""); err != nil {
		return response, err
	}
	return response, request.Inputs.copy(ctx)
}

// Update copies again if what is copied, or where to, has changed; a new connection alone copies nothing.
func (*CopyToRemote) Update(
	ctx context.Context, request infer.UpdateRequest[CopyInputs, CopyState],
) (infer.UpdateResponse[CopyState], error) {
	response := infer.UpdateResponse[CopyState]{Output: CopyState{request.Inputs}}
	same := request.Inputs.hash() == request.State.hash() && request.Inputs.RemotePath == request.State.RemotePath
	if request.DryRun || same {
		return response, nil
	}
	return response, request.Inputs.copy(ctx)
}

func (in CopyInputs) hash() string {
	switch {
	case in.Source.Asset != nil:
		return in.Source.Asset.Hash
	case in.Source.Archive != nil:
		return in.Source.Archive.Hash
	}
	return ""
}

func (in CopyInputs) copy(ctx context.Context) error {
	connection, err := in.Connection.dial(ctx)
	if err != nil {
		return err
	}
	defer connection.Close()
	stop := context.AfterFunc(ctx, func() { _ = connection.Close() })
	defer stop()
	files, err := sftp.NewClient(connection, sftp.UseConcurrentWrites(true))
	if err != nil {
		return fmt.Errorf("%s offers no SFTP: %w", in.Connection.address(), err)
	}
	defer files.Close()

	target := target{files}
	if asset := in.Source.Asset; asset != nil && asset.IsText() {
		err = target.writeText(asset.Text, in.RemotePath)
	} else if asset != nil {
		err = target.copy(asset.Path, in.RemotePath)
	} else {
		err = target.copy(in.Source.Archive.Path, in.RemotePath)
	}
	if err != nil {
		return fmt.Errorf("copying to %s on %s: %w", in.RemotePath, in.Connection.address(), err)
	}
	return nil
}

// target is the machine that files are copied to.
type target struct{ *sftp.Client }

type kind int

const (
	absent kind = iota
	file
	directory
)

func (t target) kind(name string) (kind, error) {
	info, err := t.Stat(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return absent, nil
	case err != nil:
		return absent, fmt.Errorf("cannot look at remote %s: %w", name, err)
	case info.IsDir():
		return directory, nil
	}
	return file, nil
}

func (t target) writeText(text, destination string) error {
	existing, err := t.kind(destination)
	if err != nil {
		return err
	}
	if existing == directory {
		return fmt.Errorf("remote %s is a directory, and a StringAsset has no file name; fix: add one to remotePath", destination)
	}
	return t.write(strings.NewReader(text), destination)
}

// copy puts a local file or directory at the destination:
//
//	source \ destination   a directory       absent                 a file
//	file                   into it           becomes it             overwrites it
//	directory              into it           is made, then into it  refused
//	directory with final / its entries in it is made, then likewise refused
func (t target) copy(source, destination string) error {
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	existing, err := t.kind(destination)
	if err != nil {
		return err
	}
	inside := path.Join(destination, filepath.Base(source))
	if info.IsDir() {
		if !strings.HasSuffix(source, "/") {
			destination = inside
		}
		return t.copyTree(source, destination)
	}
	if existing == directory {
		destination = inside
	}
	return t.copyFile(source, destination)
}

func (t target) copyTree(source, destination string) error {
	// WalkDir does not follow a link that is its root.
	root, err := filepath.EvalSymlinks(source)
	if err != nil {
		return err
	}
	return filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		remote := path.Join(destination, filepath.ToSlash(relative))
		if !entry.IsDir() {
			return t.copyFile(name, remote)
		}
		if err := t.MkdirAll(remote); err != nil {
			return fmt.Errorf("cannot make the remote directory %s: %w", remote, err)
		}
		return nil
	})
}

func (t target) copyFile(source, destination string) error {
	local, err := os.Open(source)
	if err != nil {
		return err
	}
	defer local.Close()
	return t.write(local, destination)
}

func (t target) write(content io.Reader, destination string) error {
	if err := t.MkdirAll(path.Dir(destination)); err != nil {
		return fmt.Errorf("cannot make the remote directory %s: %w", path.Dir(destination), err)
	}
	remote, err := t.Create(destination)
	if err != nil {
		return fmt.Errorf("cannot write remote %s: %w", destination, err)
	}
	_, err = remote.ReadFrom(content)
	// A full disk may only show when the file is closed.
	if err = errors.Join(err, remote.Close()); err != nil {
		return fmt.Errorf("cannot write remote %s: %w", destination, err)
	}
	return nil
}

var (
	_ infer.CustomCheck[CopyInputs]             = (*CopyToRemote)(nil)
	_ infer.CustomUpdate[CopyInputs, CopyState] = (*CopyToRemote)(nil)
)
