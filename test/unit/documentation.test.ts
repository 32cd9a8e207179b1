import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

const ROOT = path.resolve(__dirname, "../..");

/** The files of the project that git tracks or would track. */
const projectFiles = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], {
  cwd: ROOT,
  encoding: "utf8",
})
  .split("\n")
  .filter((file) => file !== "" && fs.existsSync(path.join(ROOT, file)));

const markdownFiles = projectFiles.filter((file) => file.endsWith(".md"));

/** Markdown without its code, where brackets mean something else. */
function prose(markdown: string): string {
  return markdown.replace(/^ *```.*?^ *```/gms, "").replace(/`[^`\n]*`/g, "code");
}

/** The anchors that GitHub gives a file's headings. */
function anchorsOf(file: string): string[] {
  const markdown = fs.readFileSync(path.join(ROOT, file), "utf8").replace(/^ *```.*?^ *```/gms, "");
  return [...markdown.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

/** Why a link in a Markdown file leads nowhere, or undefined. */
function fault(file: string, target: string): string | undefined {
  const [place, anchor] = target.split("#");
  const linked = place === "" ? file : path.join(path.dirname(file), decodeURI(place!));
  if (!fs.existsSync(path.join(ROOT, linked))) return `${file}: ${target}: there is no ${linked}`;
  if (anchor !== undefined && !anchorsOf(linked).includes(anchor))
    return `${file}: ${target}: ${linked} has no such heading`;
  return undefined;
}

describe("the documentation", () => {
  it("links only to files and headings that exist", () => {
    const links = markdownFiles.flatMap((file) =>
      [...prose(fs.readFileSync(path.join(ROOT, file), "utf8")).matchAll(/\]\(([^)\s]+)\)/g)]
        .map(([, target]) => ({ file, target: target! }))
        .filter(({ target }) => !/^[a-z]+:/.test(target)),
    );
    assert.ok(links.length > 50, `only ${links.length} links found`);
    const faults = links
      .map(({ file, target }) => fault(file, target))
      .filter((found) => found !== undefined);
    assert.deepEqual(faults, []);
  });

  it("is where code, config and messages say it is", () => {
    const mentions = projectFiles
      .filter((file) => !fs.lstatSync(path.join(ROOT, file)).isSymbolicLink())
      .flatMap((file) =>
        [...fs.readFileSync(path.join(ROOT, file), "utf8").matchAll(/(?<![\w./-])docs\/[\w./-]+\.md\b/g)].map(
          ([name]) => ({ file, name }),
        ),
      );
    assert.ok(mentions.length > 3, `only ${mentions.length} mentions found`);
    const faults = mentions
      .filter(({ name }) => !fs.existsSync(path.join(ROOT, name)))
      .map(({ file, name }) => `${file}: there is no ${name}`);
    assert.deepEqual(faults, []);
  });

  it("is complete in its index", () => {
    const index = fs.readFileSync(path.join(ROOT, "docs/README.md"), "utf8");
    const missing = markdownFiles
      .filter((file) => file.startsWith("docs/") && file !== "docs/README.md")
      .filter((file) => !index.includes(`(${path.relative("docs", file)})`));
    assert.deepEqual(missing, []);
  });
});
