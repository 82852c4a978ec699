"""What answers count: nouns that may stand behind a number as its unit, and words beside them that leave the number as it is.

The nouns are those of common word problems. A word that is not here is no unit: "42 doubled" is another number than 42.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


COUNTED = _words(
    """acorns acres addresses ads adults airplanes albums alligators alpacas amps angles animals antacids ants apartments
    appetizers apple apples applications appointments apps arms arrangements articles athletes atoms attendees avocados
    babies badges bags bahts bales balloons balls bananas bands barrels bars basketballs baskets batches bathrooms baths
    bats beads beakers beans bears bedrooms beds bees belts berries bicycles bikes bills birdhouses birds biscuits bites
    bits blankets blisters blocks blouses blueberries boats bollards bolts bones bonnets books bottles bouquets bowls
    boxcars boxes boys bracelets branches bread bricks brothers brownies bubbles buckets bugs builders buildings bulbs
    bunches bundles bunnies burgers burritos buses bushels bushes businesses butterflies buttons buyers bytes cabinets
    cages cake cakes calories candies candles candy canes cans cantelopes caps capsules caramels cards carnations carpets
    carriages carrots cars cartons cases caterpillars cats cattle ceilings cells centers centuries chairs channels
    chapters characters cheesecakes cheeses cherries chickens chicks children chips chocolate chocolates choices chores
    circles cities clamps clarinets classes classmates classrooms claws clients clips clothes clouds cloves clowns
    clusters coats cobs coconuts coefficients coffee coffees coins collars colorings colors combinations comics committees
    complaints computers cones configurations consonants containers cookies copies corn corns counters countries counts
    couples coupons courses cousins cows crabs crackers cranberries cranes craters crates crayons creams credits crickets
    croissants crowns crows cubes cucumbers cupcakes cups curlers curries customers cuttlebones daisies daughters decades
    decimeters decks decorations deer demerits desks devices diagonals diaries dice digits dimes dinners dirhams dishes
    divisors dogs dolls donations donuts doors dots doughnuts drawings dresses drummers drums ducklings ducks earrings
    ears edges eggplants eggs electrons elements elephants elves emails employees enclosures envelopes episodes equations
    erasers exams eyes faces factors families farthings feathers feet females fences figures files fingers firecrackers
    fireworks fish fishes flags flamingos flats flavors fleas flies flights flips floors flour flowers flutes flyers
    followers food footballs footprints forks forms frames francs friends fries frisbees frogs fronds fruit fruits
    functions galleries gallons games geckos geese gemstones gifts gingerbreads giraffes girls glasses gnomes goals goats
    goldfishes graders grades grapes grass groups guests guides guineas guitars gumballs guns guppies haircuts hamburgers
    hamsters hands handshakes hangers hats hay heads hearts helmets hens highlighters hikes hills holes homes homework
    hoodies horses hotdogs houses hushpuppies increments individuals insects instructions instruments integers
    intersections intervals invitations islands items jackets jacks jars jellybeans jerseys joggers juice kangaroos
    kernels kids kilobytes kilos kilowatts kinds kittens knives kroner ladybugs lambs lamps land laps lawns legos legs
    lemons lengths leopards lessons letters levels licks lids lightbulbs lights lilies limbs limes lines links lions lira
    lizards llamas loads loaves locations lollies lollipops losses lovers lunches macarons macaroons machines magazines
    maggots magnets males mangoes mangos marbles markers marks marshmallows masks matches matchsticks meals meatballs
    medals megabytes melons members men messages metal mice miles milk milliliters minks minnows mistakes models molecules
    moles money monkeys movies muffins mugs mushrooms nails napkins necklaces neighbors nephews newspapers nickels nights
    notebooks notes novels numbers nurses nuts objects officers ohms omelets omelettes onions options oranges orchids
    orders outcomes outfits oysters packages packets packs pages paintings pairs palindromes pallets pamphlets pancakes
    pandas panels pans pants papayas paper paperclips papers parents parks parsnips participants parts passengers pastries
    paths patients paws peaches peanuts pearls pears pebbles pegs pencils penguins pennies pens people peppers periods
    permutations persons pesos petals pets petunias pfennigs phones photographs photons photos physicians pictures pieces
    pies pigeons piglets pigs piles pills pinecones pines pins pints pitches pixels pizza pizzas places planks plants
    plates players pockets pods pointers points polishes polygons polynomials pools portions positions possibilities
    postcards posters posts potatoes pots pouches presents pretzels primes prints problems puffs pumpkins pupils puppies
    pups pushups puzzles quarts questions quilts quizzes rabbits racers racquets raisins rand rands ranks rats records
    rectangles regions requests residents revolutions rhinestones rhinos rice rides rings riyals robots rocks rods rolls
    roommates rooms roosters roots roses rotations roubles rounds routes rows rubles rulers rungs runs rupees sacks salads
    sandwiches saplings savings scallops scarves schools scissors scoops screens screws seagulls seashells seasons seats
    sections seedlings seeds segments seniors sentences sequences sequins servings sessions sets sharks sheep sheets
    shells shelves shillings shirts shoes shots siblings sides signatures signs sisters sites situps skips skirts slices
    snacks snails snakes snowballs snowflakes socks sodas solutions songs sons soup spaces spears species spiders spokes
    spools spoons spots sprigs sprinters squares squats squirrels stacks stairs stalks stamps stars starters states
    stations statues steaks stems steps stickers sticks stitches stones stores stories strands strawberries straws
    streetlights streets strings stripes strips students stuffies subjects subsets suckers sugar suitcases suits
    sunflowers supplies swallows swans sweaters sweets systems tables tablespoons tablets tadpoles tails tangerines tanks
    tasks tattoos taxes tea teachers teams teaspoons teddies teeth televisions tents terms teslas tests texts things
    tickets tigers tiles tilings times tins tires tissues toads toddlers toenails toes tokens tomatoes tonnes tons tools
    toothbrushes toothpicks toppings touchdowns towels towers toys tractors trains trays treasures treats trees triangles
    triples trips trolls truckloads trucks truffles trumpets tubes tubs tulips turnips turtles twigs types units utensils
    values vampires vans vegetables vehicles vertices vests videos visitors visits volts volunteers voters votes waiters
    walls walnuts wands washes watches water watermelons watts ways websites weeds weekdays whales wheels whiskers
    whistlers widgets windows wings wins wipes women won wood wool words workers worksheets worms wrappers yogurts zebras
    zeros zloty zombies
    celsius fahrenheit forenoon afternoon"""
)
# Words beside a noun that say which of its kind are counted, or that nothing is missing.
DESCRIBING = _words(
    """altogether arithmetic available bigger black blue brown chocolate cold complete congruent consecutive different
    distinct distinguishable dried empty entire equal even exactly extra favorable fewest flat fresh full geometric german
    glass good gray green hot identical individual integer integral interior large largest leftover little local long male
    female medium mixed new odd old only orange ordered ordinary original pink plain plastic positive possible prime
    purple real rectangular red regular remaining respective ripe round separate short similar single small smaller solid
    successful tall together total triangular unique unit valid white whole wild wooden yellow young left"""
)
_MEASURE_WORDS = frozenset(
    "个個只隻本元角条條张張块塊支枝朵颗顆粒辆輛台座间間名位人岁歲次页頁步层層排行列組组队隊班双雙份瓶杯碗盒箱袋包棵株头頭匹户戶件道题題种種"
)
_OTHER_NUMBER = frozenset("半多余餘倍成折几幾")  # 5个半 is five and a half, 5倍 a multiple


def is_counted(word: str) -> bool:
    """Whether a word is a noun that answers count, singular or plural."""
    if word[:1] in _MEASURE_WORDS:
        return not _OTHER_NUMBER & set(word)
    return any(form in COUNTED for form in (word, word + "s", word + "es", word[:-1] + "ies" if word.endswith("y") else word))
