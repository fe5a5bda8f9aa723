/** What an order needs to know of a service. */
interface Depending {
  readonly name: string;
  readonly dependsOn: readonly string[];
}

/**
 * The names in an order in which they can start: what a service depends on comes before it, otherwise as given. A cycle, which Compose
 * refuses anyway, is broken where it closes.
 */
export function startOrder(services: readonly Depending[]): string[] {
  const byName = new Map(services.map((service) => [service.name, service]));
  const order: string[] = [];
  const seen = new Set<string>();
  const visit = (service: Depending): void => {
    if (seen.has(service.name)) return;
    seen.add(service.name);
    for (const dependency of service.dependsOn) {
      const found = byName.get(dependency);
      if (found !== undefined) visit(found);
    }
    order.push(service.name);
  };
  services.forEach(visit);
  return order;
}

/** These services and everything that depends on them, directly or not. */
export function withDependents(services: readonly Depending[], names: Iterable<string>): Set<string> {
  const result = new Set(names);
  for (let grown = true; grown;) {
    grown = false;
    for (const service of services) {
      if (!result.has(service.name) && service.dependsOn.some((name) => result.has(name))) {
        result.add(service.name);
        grown = true;
      }
    }
  }
  return result;
}
