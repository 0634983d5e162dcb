from jaxstyle.optimization.presets import *
