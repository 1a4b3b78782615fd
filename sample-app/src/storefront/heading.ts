export const heading = (market: string): string => `Catalog for ${market.toUpperCase()}`;
