from jaxstyle.losses.statistics import *
