import tseslint from 'typescript-eslint';

/**
 * Imports point one way: entries → modes → rooms → system. Each row: a folder of src/, and the folders that it must not know.
 * `errors.ts` is everybody's.
 */
const rooms = [
  'project',
  'runtimes',
  'compose',
  'sources',
  'archive',
  'encryption',
  'stores',
  'cache',
  'code',
  'health',
  'safety',
  'report',
];
const above = [
  'main',
  'cli',
  'shell',
  'install-recovery',
  'keygen',
  'run',
  'open',
  'agent',
  'actions-cache',
  'modes',
  'settings',
];
const allowed = {
  system: [],
  runtimes: ['system', 'report'],
  compose: ['system', 'report', 'runtimes'],
  health: ['system', 'report', 'runtimes'],
  archive: ['system', 'report', 'encryption'],
  encryption: [],
  stores: ['system', 'report', 'archive'],
  cache: ['system', 'report'],
  code: ['system', 'report'],
  safety: ['system', 'report'],
  report: ['system', 'archive', 'health'],
  project: ['system', 'report', 'runtimes', 'compose', 'health'],
  sources: ['system', 'report', 'runtimes', 'archive', 'project', 'compose'],
};

function direction(folder, mayImport) {
  const forbidden = [...rooms, ...above].filter((name) => name !== folder && !mayImport.includes(name));
  return {
    files: [`src/${folder}/**/*.ts`],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              group: forbidden
                .flatMap((name) => [`**/${name}/**`, `**/${name}.ts`])
                .filter((p) => !p.endsWith('/report.ts')),
              message: `src/${folder} may import only ${['errors.ts', ...mayImport].join(', ')}: imports point downward.`,
            },
            ...(['report', 'stores', 'system', 'code'].includes(folder)
              ? []
              : [
                  {
                    group: ['@actions/*'],
                    message:
                      '@actions packages stay in the entries, report/, system/, the artifact store and the image cache.',
                  },
                ]),
          ],
        },
      ],
    },
  };
}

export default tseslint.config(
  { ignores: ['dist/**', 'node_modules/**', 'tmp/**', 'coverage/**', '**/*.js', '**/*.mjs'] },
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      eqeqeq: 'error',
      'no-console': 'error',
    },
  },
  ...Object.entries(allowed).map(([folder, mayImport]) => direction(folder, mayImport)),
  {
    files: [
      'src/modes/**/*.ts',
      'src/settings/**/*.ts',
      'src/cli.ts',
      'src/shell.ts',
      'src/run.ts',
      'src/cut-off.ts',
      'src/open.ts',
      'src/agent.ts',
    ],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              group: ['@actions/*', '**/main.ts', '**/cli.ts', '**/agent.ts', '**/actions-cache.ts'],
              message: 'Entries are imported by nobody; @actions packages stay in main.ts and report/.',
            },
          ],
        },
      ],
    },
  },
  {
    files: [
      'src/cli.ts',
      'src/agent.ts',
      'src/report/terminal.ts',
      '__tests__/**',
      'scripts/**',
      'bench/**',
      'demo/**',
    ],
    rules: { 'no-console': 'off' },
  },
  {
    files: ['src/system/**/*.ts'],
    rules: {},
  },
);
