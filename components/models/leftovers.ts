/*
 * What tools leave in a folder: version control, caches, notebooks, editors, macOS and Windows, and what NFS keeps of a
 * file that is in use. The agent that stores a model on a host leaves out the same (agent/models/store.py).
 */
const LEFTOVERS = new RegExp(
  `^(?:${[
    "__pycache__|\\.git|\\.hg|\\.svn|\\.ipynb_checkpoints|\\.(?:pytest|mypy|ruff)_cache|\\.idea|\\.vscode",
    "\\.DS_Store|\\._.*|__MACOSX|Thumbs\\.db|desktop\\.ini|\\.nfs[0-9a-f]+",
    // Of Emacs and Vim; Emacs' lock is a link that leads nowhere.
    ".*~|\\..*\\.sw[a-p]|\\.#.*|#.*#",
  ].join("|")})$`,
  "s",
);

/** Whether a file or folder of this name is never part of a model: it comes and goes without a change of the model. */
export function isLeftover(name: string): boolean {
  return LEFTOVERS.test(name);
}
