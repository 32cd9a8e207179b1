/** What reading needs to know beside the values. */
export interface SettingsContext {
  /** Where the values come from: arguments of a component may hold outputs, and a secret of theirs may be plain text. */
  readonly origin: "config" | "arguments";
  readonly stack: string;
  /** Absolute path of the folder that holds Pulumi.yaml; relative paths start here. */
  readonly projectDirectory: string;
  /** The top-level keys whose values hold a secret. */
  readonly secretKeys: ReadonlySet<string>;
  readonly files: FileProbe;
  /** Tells the user how the settings were understood. */
  readonly inform: (message: string) => void;
}

/** The questions that settings ask of this machine's file system. */
export interface FileProbe {
  /** What is at an absolute path, after symbolic links. */
  kind(path: string): "folder" | "file" | "missing";
  /** Names of what a folder holds, in no particular order; none if it cannot be read. */
  entries(folder: string): readonly string[];
  /** What a file holds; undefined if it is missing or cannot be read. */
  text(file: string): string | undefined;
}
