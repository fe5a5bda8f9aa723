import { CaretakerError } from '../errors.ts';

/** Hands out the names of parts: lower-case letters, digits and dashes, each once. They become file names in every store. */
export class Names {
  readonly #taken = new Set<string>();

  /** The first wish that is free, else the first one with a number. */
  take(wishes: readonly string[]): string {
    const names = wishes.map(partName).filter((name) => name !== '');
    const first = names[0] ?? 'data';
    let name = names.find((candidate) => !this.#taken.has(candidate));
    for (let number = 2; name === undefined; number++) {
      if (!this.#taken.has(`${first}-${number}`)) name = `${first}-${number}`;
    }
    this.#taken.add(name);
    return name;
  }

  /** A name that the user gave. Throws `data-name-invalid`, `data-name-duplicate`. */
  claim(name: string): void {
    if (name !== partName(name)) {
      throw new CaretakerError(
        'data-name-invalid',
        `failed to name a part "${name}": it is not made of lower-case letters, digits and single dashes`,
        {
          hint: `Write name=${partName(name) === '' ? 'data' : partName(name)}.`,
          input: 'data',
        },
      );
    }
    if (this.#taken.has(name)) {
      throw new CaretakerError('data-name-duplicate', `failed to name two parts "${name}"`, {
        hint: 'Give each data line a name of its own with name=….',
        input: 'data',
      });
    }
    this.#taken.add(name);
  }
}

function partName(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 60)
    .replace(/-+$/, '');
}
