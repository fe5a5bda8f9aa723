import { fileURLToPath } from 'node:url';

// Programs that the tests start from `src` are compiled once. Not in the tests' own environment: what is started without one must have it too.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL('node_modules/.cache/compile', import.meta.url));

/** Suites by folder: unit and contract need nothing but Node; integration needs the engines; e2e the workflow engine too. */
export default {
  testEnvironment: 'node',
  // Of two processors Jest would leave one idle.
  maxWorkers: '100%',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2024' }, module: { type: 'es6' }, sourceMaps: 'inline' },
    ],
  },
  // On a busy machine a test that makes thousands of files takes longer than the 5 s of the default.
  testTimeout: 30_000,
  setupFiles: ['<rootDir>/__tests__/worker-user.ts'],
  testMatch: ['<rootDir>/__tests__/{unit,contract,integration,e2e}/**/*.test.ts'],
  modulePathIgnorePatterns: ['<rootDir>/tmp/', '<rootDir>/dist/'],
};
