import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

export interface Codes {
  /** Code → where it is given, as `src/modes/restore.ts:113`. */
  readonly used: ReadonlyMap<string, readonly string[]>;
  /** Places whose code can't be told from the source text: write them so that it can, or teach this file. */
  readonly unclear: readonly string[];
}

/** Every source file below a folder of `root`: its path relative to root → its text. */
export function sourcesBelow(root: string, folder: string): Map<string, string> {
  const names = readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' });
  const files = names.filter((name) => name.endsWith('.ts')).map((name) => path.join(folder, name));
  return new Map(files.sort().map((file) => [file, readFileSync(path.join(root, file), 'utf8')]));
}

/**
 * Every code that the sources give to CaretakerError, read from their syntax trees: the first argument of `new CaretakerError(…)`, that of
 * `super(…)` in a class that extends it, and every property `code: '…'` in kebab-case. Where the argument is no literal it is followed:
 * a parameter to the arguments of all calls of its function (in its file, in all files where it is exported), a variable to its
 * value, a loop's variable to its list, a choice to both sides, a template to all combinations, an element of a table to the table's values. The `….code`
 * of an error that is thrown anew, or of a table whose rows say `code: '…'`, adds nothing.
 */
export function errorCodes(sources: ReadonlyMap<string, string>): Codes {
  const files = [...sources].map(([name, text]) => ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true));
  const calls: ts.CallExpression[] = [];
  for (const file of files) each(file, (node) => void (ts.isCallExpression(node) && calls.push(node)));

  const used = new Map<string, string[]>();
  const unclear: string[] = [];
  const note = (node: ts.Node, values: readonly string[] | undefined): void => {
    const place = placeOf(node);
    if (values === undefined) unclear.push(place);
    for (const code of values ?? []) used.set(code, [...(used.get(code) ?? []), place]);
  };
  const of = (argument: ts.Expression | undefined): readonly string[] | undefined =>
    argument === undefined ? undefined : valuesOf(argument, calls, new Set());
  for (const file of files) {
    each(file, (node) => {
      if (ts.isNewExpression(node) && node.expression.getText() === 'CaretakerError')
        note(node, of(node.arguments?.[0]));
      if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.SuperKeyword && extendsOurs(node)) {
        note(node, of(node.arguments[0]));
      }
      if (ts.isPropertyAssignment(node) && node.name.getText() === 'code' && ts.isStringLiteralLike(node.initializer)) {
        if (/^[a-z]+(-[a-z0-9]+)+$/.test(node.initializer.text)) note(node, [node.initializer.text]);
      }
    });
  }
  return { used, unclear };
}

/** The texts that an expression can stand for; undefined where that can't be told. `seen` ends the way round a function that calls itself. */
function valuesOf(
  node: ts.Expression,
  calls: readonly ts.CallExpression[],
  seen: ReadonlySet<ts.Node>,
): readonly string[] | undefined {
  if (seen.has(node)) return [];
  const follow = (next: ts.Expression): readonly string[] | undefined =>
    valuesOf(next, calls, new Set([...seen, node]));
  const union = (nodes: readonly ts.Expression[]): readonly string[] | undefined => {
    const all = nodes.map(follow);
    return all.some((values) => values === undefined) ? undefined : [...new Set(all.flatMap((values) => values ?? []))];
  };
  if (ts.isStringLiteralLike(node)) return [node.text];
  if (ts.isParenthesizedExpression(node) || ts.isAsExpression(node) || ts.isSatisfiesExpression(node)) {
    return follow(node.expression);
  }
  if (ts.isConditionalExpression(node)) return union([node.whenTrue, node.whenFalse]);
  if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.QuestionQuestionToken) {
    return union([node.left, node.right]);
  }
  if (ts.isArrayLiteralExpression(node)) return union([...node.elements]);
  if (ts.isObjectLiteralExpression(node)) {
    return union(node.properties.flatMap((one) => (ts.isPropertyAssignment(one) ? [one.initializer] : [])));
  }
  if (ts.isTemplateExpression(node)) {
    let texts: readonly string[] = [node.head.text];
    for (const { expression, literal } of node.templateSpans) {
      const values = follow(expression);
      if (values === undefined) return undefined;
      texts = texts.flatMap((text) => values.map((value) => text + value + literal.text));
    }
    return texts;
  }
  if (ts.isElementAccessExpression(node)) return follow(node.expression);
  if (ts.isPropertyAccessExpression(node) && node.name.text === 'code') return [];
  if (!ts.isIdentifier(node)) return undefined;
  const declaration = declarationOf(node);
  if (declaration === undefined) return undefined;
  if (ts.isParameter(declaration)) {
    const given = argumentsOf(declaration, calls);
    return given === undefined ? undefined : union(given);
  }
  if (declaration.initializer !== undefined) return follow(declaration.initializer);
  const loop = declaration.parent.parent;
  return ts.isForOfStatement(loop) ? follow(loop.expression) : undefined;
}

/** The nearest parameter or variable of this name around, or at the top of the file. */
function declarationOf(identifier: ts.Identifier): ts.ParameterDeclaration | ts.VariableDeclaration | undefined {
  const named = (one: { readonly name: ts.Node }): boolean =>
    ts.isIdentifier(one.name) && one.name.text === identifier.text;
  for (let scope: ts.Node = identifier.parent; ; scope = scope.parent) {
    if (ts.isFunctionLike(scope)) {
      const parameter = scope.parameters.find(named);
      if (parameter !== undefined) return parameter;
    }
    if (ts.isForOfStatement(scope) && ts.isVariableDeclarationList(scope.initializer)) {
      const variable = scope.initializer.declarations.find(named);
      if (variable !== undefined) return variable;
    }
    if (ts.isBlock(scope) || ts.isSourceFile(scope) || ts.isCaseOrDefaultClause(scope)) {
      for (const statement of scope.statements) {
        if (!ts.isVariableStatement(statement)) continue;
        const variable = statement.declarationList.declarations.find(named);
        if (variable !== undefined) return variable;
      }
    }
    if (ts.isSourceFile(scope)) return undefined;
  }
}

/** What all calls of the parameter's function give for it; undefined where there is no call, or one that gives nothing. */
function argumentsOf(
  parameter: ts.ParameterDeclaration,
  calls: readonly ts.CallExpression[],
): readonly ts.Expression[] | undefined {
  const owner = parameter.parent;
  const holder = ts.isFunctionLike(owner) && owner.name === undefined ? owner.parent : owner;
  const name = (holder as { readonly name?: ts.Node }).name?.getText();
  if (name === undefined) return undefined;
  const everywhere =
    ts.isFunctionDeclaration(owner) && owner.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword);
  const index = owner.parameters.indexOf(parameter);
  const given: ts.Expression[] = [];
  for (const call of calls) {
    const callee = ts.isPropertyAccessExpression(call.expression) ? call.expression.name : call.expression;
    if (callee.getText() !== name) continue;
    if (everywhere !== true && call.getSourceFile() !== owner.getSourceFile()) continue;
    const argument = call.arguments[index] ?? parameter.initializer;
    if (argument === undefined) return undefined;
    given.push(argument);
  }
  return given.length === 0 ? undefined : given;
}

function extendsOurs(node: ts.Node): boolean {
  for (let scope = node.parent; !ts.isSourceFile(scope); scope = scope.parent) {
    if (!ts.isClassDeclaration(scope)) continue;
    return (
      scope.heritageClauses?.some(({ types }) =>
        types.some((type) => type.expression.getText() === 'CaretakerError'),
      ) ?? false
    );
  }
  return false;
}

function each(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => each(child, visit));
}

function placeOf(node: ts.Node): string {
  const file = node.getSourceFile();
  return `${file.fileName}:${file.getLineAndCharacterOfPosition(node.getStart()).line + 1}`;
}
