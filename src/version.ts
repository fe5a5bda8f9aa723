/** This release; package.json says the same, which a test holds together. */
export const VERSION = '0.1.0';
