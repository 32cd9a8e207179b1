import eslint from "@eslint/js";
import globals from "globals";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["**/node_modules/", ".local/", "**/dist/", "native/"] },
  eslint.configs.recommended,
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { project: "./tsconfig.json", tsconfigRootDir: import.meta.dirname } },
    rules: {
      // Numbers and booleans are unambiguous in a message.
      "@typescript-eslint/restrict-template-expressions": [
        "error",
        { allowNumber: true, allowBoolean: true },
      ],
      // The rule does not see through pulumi.Input.
      "@typescript-eslint/no-unsafe-enum-assignment": "off",
      "@typescript-eslint/switch-exhaustiveness-check": "error",
      // `const { kind, ...rest } = …` is how a key is left away.
      "@typescript-eslint/no-unused-vars": ["error", { ignoreRestSiblings: true }],
    },
  },
  {
    files: ["**/*.ts"],
    ignores: [
      "components/settings/**",
      "test/unit/settings/**",
      "scripts/generate/**",
      "components/index.ts",
    ],
    rules: {
      "no-restricted-imports": [
        "error",
        {
          patterns: [
            {
              group: ["**/settings/*", "!**/unit/settings/*", "!../settings/context"],
              message: "Import from components/settings.",
            },
          ],
        },
      ],
    },
  },
  {
    files: ["test/**/*.ts"],
    // In a test, the next assertion fails if a value is missing.
    rules: { "@typescript-eslint/no-non-null-assertion": "off" },
  },
  ...[
    ["live", "bench"],
    ["bench", "live"],
    ["triton", "{bench,live}"],
  ].map(([room, others]) => ({
    files: [`scripts/${room}/**/*.ts`],
    rules: {
      "no-restricted-imports": [
        "error",
        { patterns: [{ group: [`**/${others}/**`], message: "What both need belongs in scripts/triton." }] },
      ],
    },
  })),
  { files: ["**/*.mjs", "**/*.cjs"], languageOptions: { globals: globals.node } },
  {
    files: ["components/plugin/*.js"],
    languageOptions: { sourceType: "commonjs", globals: globals.node },
  },
);
